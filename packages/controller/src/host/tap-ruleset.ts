import { guestIp, guestPeerIp, slotPorts } from './slot.ts'
import { tapNames } from './tap-names.ts'

export const tableName = 'anteroom'

/**
 * What may pass a slot's namespace: connections that the host opens to the guest's two ports, and their answers.
 * Nothing that the guest begins passes in any direction, whatever addresses it writes into its packets, and nothing from
 * beyond this host reaches the guest, whatever the host forwards. The rules go with the namespace.
 */
export function tapRuleset(addresses: { readonly host: string; readonly machine: string }): string {
  const { uplink, tap } = tapNames('', 0)
  const ports = `{ ${slotPorts.join(', ')} }`
  return `
table inet ${tableName} {
  counter asked { }
  counter refused_to_guest { }
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    iifname "${uplink}" ip saddr ${addresses.host} ip daddr ${addresses.machine} tcp dport ${ports} dnat ip to ${guestIp}
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    # The guest has no route but to its peer.
    oifname "${tap}" snat ip to ${guestPeerIp}
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
    iifname "${uplink}" oifname "${tap}" ip saddr ${addresses.host} ip daddr ${guestIp} tcp dport ${ports} ct state new,established counter name asked accept
    iifname "${tap}" oifname "${uplink}" ip saddr ${guestIp} ct state established ct direction reply accept
    iifname "${tap}" counter name refused_to_guest drop
  }
  chain input {
    type filter hook input priority filter; policy drop;
    iifname "${tap}" counter name refused_to_guest drop
  }
  chain output {
    type filter hook output priority filter; policy drop;
  }
}
`
}
