import type { AgentConfig } from '../agent-config.ts'

/** Work that nobody asked for: network traffic of its own, prompts, renderers for suggestions. */
const disabledFeatures = [
  'AutofillServerCommunication',
  'DialMediaRouteProvider',
  'MediaRouter',
  'OptimizationHints',
  'Translate',
  // A definition says http:// or https://; a try of the other one would only meet the egress policy.
  'HttpsUpgrades',
  // Two more page processes for the list under the address bar.
  'WebUIOmniboxPopup',
  'WebUIOmniboxAimPopup',
]

/** Command line of the person's browser. Nothing here hides what it is, and its sandbox stays on. */
export const chromiumArgs = (config: AgentConfig, profileDir: string): string[] => [
  '--remote-debugging-pipe',
  `--user-data-dir=${profileDir}`,
  // Loopback is exempt by default: the redirect of RFC 8252 ends in this machine.
  `--proxy-server=http://127.0.0.1:${config.proxyPort}`,
  '--disable-quic',
  '--ozone-platform=x11',
  '--no-first-run',
  '--no-default-browser-check',
  '--disable-search-engine-choice-screen',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-domain-reliability',
  // Not also --disable-crashpad-for-testing: with Chromium 156 no page loads any more.
  '--disable-breakpad',
  '--disable-default-apps',
  '--no-pings',
  '--metrics-recording-only',
  '--password-store=basic',
  // The agent opens a new window within milliseconds; a new browser takes 20 s under emulation.
  '--keep-alive-for-test',
  // A child process ends itself when the browser has not connected to it within 15 s. Emulated on a busy host it takes longer, and
  // the page then loads for ever (seen in 3 of 5 boots; with this in 0 of 5).
  '--ipc-connection-timeout=300',
  '--hide-crash-restore-bubble',
  '--noerrdialogs',
  // Without a GPU the software compositor is quicker than GL emulated by SwiftShader, which compiles shaders at run time.
  '--disable-gpu',
  '--disable-software-rasterizer',
  // Each frame of an animation is drawn, encoded and sent.
  '--disable-smooth-scrolling',
  '--wm-window-animations-disabled',
  '--animation-duration-scale=0',
  '--force-prefers-reduced-motion',
  '--start-maximized',
  '--window-position=0,0',
  `--window-size=${config.display.width},${config.display.height}`,
  `--disable-features=${disabledFeatures.join(',')}`,
  ...config.extraBrowserArgs,
  'about:blank',
]
