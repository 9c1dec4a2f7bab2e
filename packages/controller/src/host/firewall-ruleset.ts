import { type SlotKind, vmmUids } from './slot.ts'

export interface Guarded {
  /** Of the state directory; part of the table's name. */
  readonly tag: string
  readonly kind: SlotKind
  /** Addresses of the machines. */
  readonly pool: string
  /** User that may reach them: the controller's. */
  readonly uid: number
}

export const firewallTable = (tag: string): string => `anteroom_${tag}`

/** That opens a connection: everything else of TCP belongs to one that was let through, or to none. */
const opening = 'tcp flags & (syn | ack) == syn'
/** A reset, because the sender of the other answer would try once more after a second before it gives up. */
const refusal = (what: string): string => `  counter refused_${what} { }
  chain refuse_${what} {
    counter name refused_${what}
    meta l4proto tcp reject with tcp reset
    reject with icmpx type admin-prohibited
  }
`

/**
 * The host's own table about the machines of one state directory. It only ever refuses: what other tables of the host say about
 * everything else stands. The owner of a socket is who opened it (nft(8), `meta skuid`); a container's user counts as the user that
 * it is on this host.
 */
export function firewallRuleset(guarded: Guarded): string {
  return `
table inet ${firewallTable(guarded.tag)} {
${['processes', 'monitors', 'packets'].map(refusal).join('')}  chain to_machines {
    meta skuid ${guarded.uid} accept
    meta skuid != ${guarded.uid} goto refuse_processes
    # Nobody knows whose socket: no connection of the controller begins like this.
    ${opening} goto refuse_processes
  }
  chain output {
    type filter hook output priority filter; policy accept;
    ${guarded.kind === 'tap' ? `oifname "ar-${guarded.tag}-*"` : `ip daddr ${guarded.pool}`} jump to_machines
${guarded.uid === 0 ? monitorsAnswerOnly : ''}  }
${guarded.kind === 'tap' ? aroundLinks(guarded.tag) : aroundLoopback(guarded.pool)}}
`
}

/** A guest that took its monitor over is a process of one of these users. */
const monitorsAnswerOnly = `    # Monitors answer the controller; they open nothing.
    meta skuid ${vmmUids.first}-${vmmUids.last} ${opening} goto refuse_monitors
    meta skuid ${vmmUids.first}-${vmmUids.last} meta l4proto != tcp goto refuse_monitors
`

/** Neither a container or another host that this one forwards for, nor a machine whose namespace has lost its rules. */
const aroundLinks = (tag: string): string => `  chain forward {
    type filter hook forward priority filter; policy accept;
    oifname "ar-${tag}-*" goto refuse_packets
    iifname "ar-${tag}-*" counter name refused_packets drop
  }
  chain input {
    type filter hook input priority filter; policy accept;
    iifname "ar-${tag}-*" meta l4proto != tcp counter name refused_packets drop
    iifname "ar-${tag}-*" ${opening} counter name refused_packets drop
  }
`

/** A host with \`route_localnet\` takes packets for loopback addresses from its network. */
const aroundLoopback = (pool: string): string => `  chain input {
    type filter hook input priority filter; policy accept;
    iifname != "lo" ip daddr ${pool} counter name refused_packets drop
  }
`
