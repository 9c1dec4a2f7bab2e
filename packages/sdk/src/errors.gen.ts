/** Generated from the contract; see openapi-sdk.test.ts of the controller. */
export const errorDefinitions = {
  "invalid_request": {
    "status": 400,
    "title": "Invalid request",
    "retryable": false,
    "person": "This link is not valid.",
    "hint": "Correct the fields named in `fields` and send the request again."
  },
  "body_too_large": {
    "status": 413,
    "title": "Body too large",
    "retryable": false,
    "person": "Something went wrong on our side. Please start again.",
    "hint": "Send at most the number of bytes named in `detail`."
  },
  "unsupported_media_type": {
    "status": 415,
    "title": "Unsupported media type",
    "retryable": false,
    "person": "Something went wrong on our side. Please start again.",
    "hint": "Send `Content-Type: application/json`."
  },
  "unauthenticated": {
    "status": 401,
    "title": "Not signed in",
    "retryable": false,
    "person": "You are not signed in here.",
    "hint": "Send `Authorization: Bearer <key>`; the operator key is in `$ANTEROOM_HOME/operator.key`."
  },
  "forbidden": {
    "status": 403,
    "title": "Not allowed",
    "retryable": false,
    "person": "You are not allowed to do this here.",
    "hint": "Use a key that has the scope named in `detail`."
  },
  "key_unchangeable": {
    "status": 409,
    "title": "Key cannot be changed",
    "retryable": false,
    "person": "Something went wrong on our side. Please start again.",
    "hint": "Create a new key instead. The operator's own is replaced when its file is removed and the controller started again."
  },
  "origin_refused": {
    "status": 403,
    "title": "Origin refused",
    "retryable": false,
    "person": "This page was opened at an address that is not its own. Please use the link that you were given.",
    "hint": "Open the page at the address in `hosted_url`; Host and Origin must name this controller."
  },
  "not_found": {
    "status": 404,
    "title": "Not found",
    "retryable": false,
    "person": "There is nothing at this address.",
    "hint": "Check the id; ids start with their kind (ses_, con_, crd_, …)."
  },
  "method_not_allowed": {
    "status": 405,
    "title": "Method not allowed",
    "retryable": false,
    "person": "Something went wrong on our side. Please start again.",
    "hint": "See /openapi.json for the methods of this address."
  },
  "provider_unknown": {
    "status": 422,
    "title": "Unknown provider",
    "retryable": false,
    "person": "This sign-in is not set up here.",
    "hint": "List the configured providers with GET /v1/providers."
  },
  "provider_invalid": {
    "status": 422,
    "title": "Provider definition is invalid",
    "retryable": false,
    "person": "This sign-in is not set up correctly.",
    "hint": "Correct the file at the line and field named in `detail`; it is read again at once."
  },
  "return_url_refused": {
    "status": 422,
    "title": "Return address is not allowed",
    "retryable": false,
    "person": "The way back from this sign-in is not set up correctly.",
    "hint": "Add the origin named in `fields` to hosted_page.return_origins, or send a return_url of one that is there."
  },
  "idempotency_conflict": {
    "status": 409,
    "title": "Idempotency key was used for another request",
    "retryable": false,
    "person": "Something went wrong on our side. Please start again.",
    "hint": "Use a new Idempotency-Key for a new request."
  },
  "rate_limited": {
    "status": 429,
    "title": "Too many requests",
    "retryable": true,
    "person": "Too many attempts. Please wait a moment.",
    "hint": "Wait for the seconds in Retry-After."
  },
  "session_not_ready": {
    "status": 409,
    "title": "Session is not at that point",
    "retryable": true,
    "person": "The browser is not ready yet.",
    "hint": "Wait for the status named in `detail`."
  },
  "session_over": {
    "status": 409,
    "title": "Session has ended",
    "retryable": false,
    "person": "This sign-in has ended.",
    "hint": "Create a new session."
  },
  "extension_refused": {
    "status": 409,
    "title": "Session may not last longer",
    "retryable": false,
    "person": "This sign-in cannot be given more time.",
    "hint": "Create a new session; how long one may last at the most is timeouts.max_session_seconds."
  },
  "entry_invalid": {
    "status": 403,
    "title": "Entry link is not valid",
    "retryable": false,
    "person": "This link is not valid or was already used. Ask for a new one.",
    "hint": "Create a new session for another person or browser: each hosted_url opens once."
  },
  "sign_in_refused": {
    "status": 403,
    "title": "Sign-in was not accepted",
    "retryable": true,
    "person": "Signing in did not work. Please begin again.",
    "hint": "Begin again at /sign-in; `detail` says what did not hold. Check the clocks of both hosts where it is about time."
  },
  "operator_not_allowed": {
    "status": 403,
    "title": "Not an operator here",
    "retryable": false,
    "person": "You are signed in there, but you are not allowed to run this service.",
    "hint": "Add the subject named in `detail`, or a verified address or group, to operators.oidc.allow and start again."
  },
  "issuer_unavailable": {
    "status": 502,
    "title": "OpenID provider does not answer",
    "retryable": true,
    "person": "The place where you sign in does not answer right now.",
    "hint": "Check operators.oidc.issuer: its /.well-known/openid-configuration must be reached from this host. Or use a one-time link."
  },
  "not_agreed": {
    "status": 409,
    "title": "Nobody has agreed to this sign-in yet",
    "retryable": true,
    "person": "Please read first what this sign-in is for, and choose to go on.",
    "hint": "Show the account owner what is asked for, then send POST /v1/sessions/{id}/agree; the hosted page does both."
  },
  "ticket_invalid": {
    "status": 403,
    "title": "View ticket is not valid",
    "retryable": false,
    "person": "The view could not be opened. Reload the page.",
    "hint": "Tickets are single-use and short-lived; request a new one."
  },
  "control_needs_consent": {
    "status": 409,
    "title": "Control needs consent",
    "retryable": false,
    "person": "Keyboard and mouse belong to somebody else. You can look on, and ask for them.",
    "hint": "Ask for a ticket with `\"access\": \"view\"`, open the view, then POST /v1/sessions/{id}/viewers/{viewer_id}/ask."
  },
  "viewer_gone": {
    "status": 409,
    "title": "View is not open",
    "retryable": false,
    "person": "They have left meanwhile.",
    "hint": "See who is there with GET /v1/sessions/{id}/viewers; whoever looks on again has a new viewer_id."
  },
  "viewers_full": {
    "status": 409,
    "title": "Too many viewers",
    "retryable": true,
    "person": "Too many people are looking on already.",
    "hint": "Wait until somebody leaves (GET /v1/sessions/{id}/viewers), or raise live.max_viewers."
  },
  "connection_needs_auth": {
    "status": 409,
    "title": "Connection has no credential",
    "retryable": false,
    "person": "Please connect the account again.",
    "hint": "Start a new session for this connection."
  },
  "config_invalid": {
    "status": 500,
    "title": "Configuration is invalid",
    "retryable": false,
    "person": "Something went wrong on our side. Please start again.",
    "hint": "Correct the setting named in `detail`, in config.yaml, the environment or the flag."
  },
  "capacity_exhausted": {
    "status": 429,
    "title": "No room for another session",
    "retryable": true,
    "person": "Too many people are signing in right now. Please try again shortly.",
    "hint": "Wait for Retry-After, or raise limits.max_queued."
  },
  "subject_limit_reached": {
    "status": 429,
    "title": "Too many open sessions of this subject",
    "retryable": true,
    "person": "You have several sign-ins open already. Finish or cancel one of them first.",
    "hint": "Cancel one of the open sessions, wait for Retry-After, or raise limits.max_per_subject."
  },
  "key_limit_reached": {
    "status": 429,
    "title": "Too many open sessions of this API key",
    "retryable": true,
    "person": "Too many people are signing in right now. Please try again shortly.",
    "hint": "Wait for Retry-After, or raise limits.max_per_key."
  },
  "provider_limit_reached": {
    "status": 429,
    "title": "Too many open sessions of this provider",
    "retryable": true,
    "person": "Too many people are signing in right now. Please try again shortly.",
    "hint": "Wait for Retry-After, or raise limits.max_per_provider."
  },
  "ip_pool_exhausted": {
    "status": 503,
    "title": "No address left for a machine",
    "retryable": true,
    "person": "All sign-in computers are in use. Please try again shortly.",
    "hint": "Enlarge network.pool; `detail` and GET /v1/machines show who holds the addresses."
  },
  "insufficient_memory": {
    "status": 503,
    "title": "Not enough free memory",
    "retryable": true,
    "person": "All sign-in computers are in use. Please try again shortly.",
    "hint": "Free memory on the host or lower limits.max_machines."
  },
  "insufficient_cpu": {
    "status": 503,
    "title": "Processors are too busy",
    "retryable": true,
    "person": "All sign-in computers are in use. Please try again shortly.",
    "hint": "Find what keeps the processors busy, lower limits.max_machines, or raise limits.max_load_per_core."
  },
  "disk_full": {
    "status": 507,
    "title": "Disk is full",
    "retryable": true,
    "person": "Something went wrong on our side. Please start again.",
    "hint": "Free space in the state directory named in `detail`."
  },
  "store_unavailable": {
    "status": 503,
    "title": "The database does not answer",
    "retryable": true,
    "person": "We cannot answer at this moment. Please try again shortly.",
    "hint": "Check that the state directory is writable and not full."
  },
  "image_missing": {
    "status": 503,
    "title": "Golden image is missing",
    "retryable": false,
    "person": "This service is not set up completely yet.",
    "hint": "Build it with `npm start` or `npm run image`."
  },
  "image_corrupt": {
    "status": 503,
    "title": "Golden image is corrupt",
    "retryable": false,
    "person": "This service has a technical problem.",
    "hint": "The file named in `detail` does not match its checksum; build the image again with `npm run image`."
  },
  "snapshot_corrupt": {
    "status": 503,
    "title": "Golden snapshot is corrupt",
    "retryable": true,
    "person": "Something went wrong on our side. Please start again.",
    "hint": "It is built again by itself and machines boot meanwhile; `detail` names the file. Look for a failing disk."
  },
  "snapshot_build_failed": {
    "status": 500,
    "title": "Golden snapshot could not be built",
    "retryable": true,
    "person": "Something went wrong on our side. Please start again.",
    "hint": "Read `detail` and logs/snapshot-build.log. Machines boot meanwhile, which takes longer; it is tried again every ten minutes."
  },
  "image_build_failed": {
    "status": 500,
    "title": "Golden image could not be built",
    "retryable": true,
    "person": "Something went wrong on our side. Please start again.",
    "hint": "Read the build log named in `detail`."
  },
  "image_build_locked": {
    "status": 409,
    "title": "Another image build is running",
    "retryable": true,
    "person": "Something went wrong on our side. Please start again.",
    "hint": "Wait until the build with the pid in `detail` ends."
  },
  "agent_incompatible": {
    "status": 503,
    "title": "Image and controller do not match",
    "retryable": false,
    "person": "This service has a technical problem.",
    "hint": "Build the image again with `npm run image`; its agent speaks another protocol version."
  },
  "vmm_missing": {
    "status": 503,
    "title": "Virtual machine monitor is missing",
    "retryable": false,
    "person": "This service is not set up completely yet.",
    "hint": "Install qemu-system-x86 (Debian, Ubuntu), 7.2 or newer, or set vmm.binary."
  },
  "kvm_required": {
    "status": 503,
    "title": "KVM does not work here",
    "retryable": false,
    "person": "This service is not set up completely yet.",
    "hint": "Set vmm.accelerator to `auto`, which emulates where it must, or make KVM work: no guest ran with it."
  },
  "network_setup_failed": {
    "status": 503,
    "title": "Network slot could not be made",
    "retryable": true,
    "person": "Something went wrong on our side. Please start again.",
    "hint": "Read the failed command in `detail`, or set network.kind to `user`, which works without privileges."
  },
  "vmm_exited": {
    "status": 500,
    "title": "Machine stopped unexpectedly",
    "retryable": true,
    "person": "The sign-in computer stopped unexpectedly. Please start again.",
    "hint": "Read vmm.log and console.log in the evidence; `dmesg` tells whether the kernel ended it for want of memory."
  },
  "boot_failed": {
    "status": 500,
    "title": "Machine did not boot",
    "retryable": true,
    "person": "Something went wrong on our side. Please start again.",
    "hint": "The kernel stopped; read console.log in the evidence."
  },
  "boot_timeout": {
    "status": 500,
    "title": "Machine did not boot in time",
    "retryable": true,
    "person": "The sign-in computer took too long to start. Please try again.",
    "hint": "Read console.log in the evidence: it shows how far it came. Raise timeouts.boot_seconds where the host is slow."
  },
  "agent_unreachable": {
    "status": 500,
    "title": "Guest agent does not answer",
    "retryable": true,
    "person": "Something went wrong on our side. Please start again.",
    "hint": "The machine booted but its agent did not answer; read console.log and agent.log in the evidence."
  },
  "display_blank": {
    "status": 500,
    "title": "Screen stayed blank",
    "retryable": true,
    "person": "Something went wrong on our side. Please start again.",
    "hint": "The display answered but nothing was painted; read agent.log in the evidence."
  },
  "display_lost": {
    "status": 500,
    "title": "Screen was lost",
    "retryable": true,
    "person": "The picture was lost. Please start again.",
    "hint": "The display server in the machine ended and did not come back; read agent.log in the evidence."
  },
  "browser_crashed": {
    "status": 500,
    "title": "Browser crashed",
    "retryable": true,
    "person": "The browser crashed. Please start again.",
    "hint": "Chromium ended and did not come back; read agent.log in the evidence."
  },
  "machine_lost": {
    "status": 500,
    "title": "Machine is gone",
    "retryable": true,
    "person": "The sign-in computer was lost. Please start again.",
    "hint": "Start a new session. This host no longer has the machine: somebody ended it, or the host was started anew."
  },
  "deadline_exceeded": {
    "status": 504,
    "title": "Took too long",
    "retryable": true,
    "person": "This took too long. Please try again.",
    "hint": "Check how busy the host is (`npm run anteroom -- doctor`); `detail` names what did not end in its time."
  },
  "consent_denied": {
    "status": 409,
    "title": "Consent was denied",
    "retryable": true,
    "person": "You did not agree at the provider, so nothing was connected.",
    "hint": "Nothing is wrong: they declined (error=access_denied). Start a new session if they change their mind."
  },
  "oauth_error": {
    "status": 502,
    "title": "Provider refused the sign-in",
    "retryable": true,
    "person": "The provider refused the sign-in. Please try again.",
    "hint": "The provider's error is in `detail`; check client_id, scopes and redirect addresses."
  },
  "oauth_state_mismatch": {
    "status": 409,
    "title": "Answer does not belong to this sign-in",
    "retryable": true,
    "person": "The answer of the provider did not belong to this sign-in. Please start again.",
    "hint": "Start a new session. If it happens again, find out where the redirect comes from: an old tab, or an attack."
  },
  "token_exchange_failed": {
    "status": 502,
    "title": "Token exchange failed",
    "retryable": true,
    "person": "The provider did not confirm the sign-in. Please try again.",
    "hint": "Read the token endpoint's answer in `detail`; check that the client is public with PKCE, and the clock of the host."
  },
  "issuer_unreachable": {
    "status": 502,
    "title": "Provider cannot be reached",
    "retryable": true,
    "person": "The provider cannot be reached right now. Please try again later.",
    "hint": "Check the issuer and that its hosts are in egress.allow."
  },
  "egress_denied": {
    "status": 403,
    "title": "Address is not allowed",
    "retryable": false,
    "person": "This page may not be opened here.",
    "hint": "Add the host to egress.allow of the provider; private addresses must be named in egress.hosts."
  },
  "egress_unreachable": {
    "status": 502,
    "title": "Address cannot be reached",
    "retryable": true,
    "person": "This page cannot be reached right now.",
    "hint": "Try the address in `detail` from the controller's host: its name did not resolve, or the connection failed."
  },
  "capture_invalid": {
    "status": 422,
    "title": "Captured credential is invalid",
    "retryable": true,
    "person": "What was captured could not be used. Please try again.",
    "hint": "Start a new session. If it happens again, build the image anew, or name less in `capture` of the provider."
  },
  "vault_unavailable": {
    "status": 503,
    "title": "Vault cannot store the credential",
    "retryable": true,
    "person": "Your sign-in could not be stored. Please try again.",
    "hint": "Check what `detail` names: the root key, the program that holds it, or the database. Nothing was written in the clear."
  },
  "session_expired": {
    "status": 410,
    "title": "Session expired",
    "retryable": true,
    "person": "The time for this sign-in is over. Please start again.",
    "hint": "Ask for a longer timeout_seconds, or extend the session, if people need more time: expires_at has passed."
  },
  "session_idle": {
    "status": 410,
    "title": "Nobody was active",
    "retryable": true,
    "person": "For a while nobody did anything here, so this sign-in was closed to protect the account.",
    "hint": "Raise timeouts.idle_seconds if people need longer; for so long no key, pointer or clipboard came."
  },
  "session_never_opened": {
    "status": 410,
    "title": "Nobody opened the live view",
    "retryable": true,
    "person": "The private computer was ready, but nobody came to its screen in time.",
    "hint": "Did hosted_url reach the person? A proxy that lets no WebSocket through looks the same; see timeouts.first_connect_seconds."
  },
  "session_cancelled": {
    "status": 409,
    "title": "Session was cancelled",
    "retryable": true,
    "person": "This sign-in was cancelled.",
    "hint": "Nothing is wrong: the person or POST /v1/sessions/{id}/cancel ended it. Start a new session when it is wanted."
  },
  "controller_locked": {
    "status": 409,
    "title": "Another controller uses this state directory",
    "retryable": false,
    "person": "Something went wrong on our side. Please start again.",
    "hint": "End the controller with the pid in `detail`, or use another ANTEROOM_HOME."
  },
  "controller_unreachable": {
    "status": 503,
    "title": "No controller answers",
    "retryable": true,
    "person": "Something went wrong on our side. Please start again.",
    "hint": "Start it with `npm start`, or name its state directory with --home."
  },
  "shutting_down": {
    "status": 503,
    "title": "Controller is stopping",
    "retryable": true,
    "person": "We cannot answer at this moment. Please try again shortly.",
    "hint": "Try again when the controller has started."
  },
  "not_ready": {
    "status": 503,
    "title": "Controller is not ready",
    "retryable": true,
    "person": "We cannot answer at this moment. Please try again shortly.",
    "hint": "See what `detail` names; `npm run anteroom -- doctor` tells what to do about it."
  },
  "internal": {
    "status": 500,
    "title": "Internal error",
    "retryable": true,
    "person": "Something went wrong on our side. Please start again.",
    "hint": "The log line with this request id has the cause; please report it."
  }
} as const
