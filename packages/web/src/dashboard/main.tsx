import '../design/base.css'
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { Dashboard } from './dashboard.tsx'
import { SignIn, SignInAnswer } from './sign-in.tsx'

const pages: Partial<Record<string, () => React.ReactNode>> = { '/sign-in': SignIn, '/sign-in/answer': SignInAnswer }
const Page = pages[location.pathname] ?? Dashboard

const root = document.getElementById('root')
if (!root) throw new Error('index.html has no #root')

createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={new QueryClient({ defaultOptions: { queries: { retry: false } } })}>
      <Page />
    </QueryClientProvider>
  </StrictMode>,
)
