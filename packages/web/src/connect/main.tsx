import '../design/base.css'
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { ConnectPage } from './connect-page.tsx'

const sessionId = location.pathname.split('/')[2] ?? ''
const root = document.getElementById('root')
if (!root) throw new Error('connect.html has no #root')

createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={new QueryClient()}>
      <ConnectPage sessionId={sessionId} />
    </QueryClientProvider>
  </StrictMode>,
)
