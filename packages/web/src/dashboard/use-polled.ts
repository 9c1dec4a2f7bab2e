import { useQuery } from '@tanstack/react-query'
import { get } from '../api/api.ts'

const everyMs = 2000

export const usePolled = <T>(path: string, refetchInterval = everyMs) =>
  useQuery<T>({ queryKey: [path], queryFn: () => get<T>(path), refetchInterval })
