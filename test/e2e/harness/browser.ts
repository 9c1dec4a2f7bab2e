import { type Browser, chromium } from 'playwright-core'

/** The account owner's browser. The demo's names lead to loopback, for the restored state of its site. */
export const launchBrowser = (): Promise<Browser> =>
  chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--host-resolver-rules=MAP *.demo.test 127.0.0.1', '--disable-background-networking'],
  })
