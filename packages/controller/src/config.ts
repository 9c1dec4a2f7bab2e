import { z } from 'zod'
import { listenProblem, listenSchema, webOrigin } from './listen-config.ts'
import { operatorsSchema } from './operators-config.ts'

/** More than the host takes altogether does no harm: whichever limit is reached first counts. */
const mostOpen = z.union([z.literal('none'), z.int().min(1).max(11_000)])

/** Who holds the vault's root key; docs/reference/vault.md. */
const keyProvider = z.discriminatedUnion('provider', [
  z.strictObject({
    provider: z.literal('file'),
    /** `vault.key` in the state directory, when nothing is said. */
    path: z.string().min(1).exactOptional(),
  }),
  z.strictObject({ provider: z.literal('environment'), variable: z.string().min(1).default('ANTEROOM_ROOT_KEY') }),
  z.strictObject({
    provider: z.literal('command'),
    /** Program and arguments, started without a shell. */
    command: z.array(z.string()).min(1),
    timeout_seconds: z.int().min(1).max(120).default(10),
  }),
])

const shape = z.strictObject({
  listen: listenSchema.prefault({}),
  /** Where people reach the controller, when that is not the listening address. */
  public_url: z.url({ protocol: /^https?$/ }).optional(),
  operators: operatorsSchema.prefault({}),
  /** The account owner's page, and the integrator's pages around it. */
  hosted_page: z
    .strictObject({
      /** Who asks, in words that account owners know; left out: the name of the API key. */
      display_name: z.string().trim().min(1).max(80).optional(),
      /** Where `return_url` may lead. */
      return_origins: z.array(webOrigin).max(100).default([]),
      /** Whose pages may show it in a frame. */
      frame_ancestors: z.array(webOrigin).max(100).default([]),
    })
    .prefault({}),
  network: z
    .strictObject({
      kind: z.enum(['auto', 'tap', 'user']).default('auto'),
      /** Addresses of tap slots, four for each. */
      pool: z.cidrv4().default('10.213.0.0/24'),
      /** Addresses of user slots; inside 127.0.0.0/8. */
      user_pool: z
        .cidrv4()
        .refine((pool) => pool.startsWith('127.'), 'must lie inside 127.0.0.0/8')
        .default('127.213.0.0/26'),
    })
    .prefault({}),
  vmm: z
    .strictObject({
      binary: z.string().default('qemu-system-x86_64'),
      accelerator: z.enum(['auto', 'kvm', 'tcg']).default('auto'),
      memory_mib: z.int().min(768).max(65536).default(1536),
      vcpus: z.int().min(1).max(16).default(2),
      /** Restore machines from a saved one; off: boot each of them. */
      snapshots: z.enum(['on', 'off']).default('on'),
    })
    .prefault({}),
  limits: z
    .strictObject({
      max_machines: z.int().min(1).max(1000).default(4),
      max_queued: z.int().min(0).max(10_000).default(100),
      /** Open sessions, running and queued: of one subject, of one API key, of one provider. */
      max_per_subject: mostOpen.default(3),
      max_per_key: mostOpen.default('none'),
      max_per_provider: mostOpen.default('none'),
      /**
       * No machine starts while more wants to run, on average, than so many times the processors. Booting one under emulation takes
       * 40 s of a quiet host's two: at 10 it could not end within `timeouts.boot_seconds`, and four machines with both of their
       * processors busy are 4.
       */
      max_load_per_core: z.number().min(1).max(1000).default(10),
    })
    .prefault({}),
  /** Restored machines that wait, paused, for sessions. */
  pool: z
    .strictObject({
      /** `auto`: between floor and ceiling, by demand. */
      size: z.union([z.literal('auto'), z.int().min(0).max(100)]).default('auto'),
      floor: z.int().min(0).max(100).default(1),
      ceiling: z.int().min(0).max(100).default(4),
      /** Free network slots that are made before they are asked for. */
      slots_ahead: z.int().min(0).max(16).default(4),
    })
    .refine(({ floor, ceiling }) => floor <= ceiling, 'pool.floor must not be above pool.ceiling')
    .prefault({}),
  timeouts: z
    .strictObject({
      /** How long a session may last, unless its request says otherwise; what one extension adds. */
      session_seconds: z.int().min(5).max(86_400).default(900),
      /** How long it may last at the most, from its creation, however often it is extended. */
      max_session_seconds: z.int().min(5).max(86_400).default(3600),
      /** Nobody with control types, points or pastes. */
      idle_seconds: z.int().min(5).max(86_400).default(300),
      /** Nobody opens the live view of a machine that is ready. */
      first_connect_seconds: z.int().min(5).max(86_400).default(300),
      boot_seconds: z.int().min(5).max(600).default(180),
    })
    .refine(
      (limits) => limits.session_seconds <= limits.max_session_seconds,
      'timeouts.session_seconds must not be above timeouts.max_session_seconds',
    )
    .prefault({}),
  live: z
    .strictObject({
      /** How many may look on at a screen, besides whoever has keyboard and mouse. Each is a connection to the machine of its own. */
      max_viewers: z.int().min(0).max(100).default(8),
      /** What people paste reaches the machine. */
      clipboard_to_machine: z.enum(['on', 'off']).default('on'),
      /** What is copied in the machine reaches whoever has keyboard and mouse; those who look on never get it. */
      clipboard_from_machine: z.enum(['on', 'off']).default('on'),
      /** The machine's screen takes the size of the person's window. */
      resize: z.enum(['on', 'off']).default('on'),
    })
    .prefault({}),
  /** What is kept of machines that are gone, so that it can be told why a session ended as it did. */
  evidence: z
    .strictObject({
      max_age_days: z.int().min(1).max(3650).default(30),
      max_total_mib: z.int().min(1).max(1_000_000).default(512),
    })
    .prefault({}),
  /** What is kept of the log, in `logs/controller`, besides what goes to standard output. */
  log: z
    .strictObject({
      max_age_days: z.int().min(1).max(3650).default(14),
      max_total_mib: z.int().min(8).max(1_000_000).default(128),
    })
    .prefault({}),
  vault: z
    .strictObject({
      key: keyProvider.prefault({ provider: 'file' }),
      /** Who held it until now: its keys are wrapped anew at the next start. */
      previous_key: keyProvider.exactOptional(),
    })
    .prefault({}),
  providers_dir: z.string().optional(),
  demo: z.enum(['auto', 'on', 'off']).default('auto'),
  log_level: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
})

/** `$ANTEROOM_HOME/config.yaml`; every key may be left out. Environment: `ANTEROOM_<SECTION>_<KEY>`, for example ANTEROOM_LISTEN_PORT. */
export const configSchema = shape.superRefine((config, context) => {
  const problem = listenProblem(config)
  if (problem !== undefined) context.addIssue({ code: 'custom', message: problem })
})

export type Config = Readonly<z.infer<typeof configSchema>> & {
  /** Absolute path of the state directory. */
  readonly home: string
}
