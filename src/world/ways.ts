import type { Need } from './world.ts';

/** What stands between app and server. */
export type ProxyKind = 'embedded' | 'toxiproxy' | 'virtual';

/** How something a fault needs is done, or why it is not. */
export type Way = { how: string } | { no: string };

const itself = { how: 'a toxic of its own' };

/** How every kind of proxy does what a fault may need. The table of docs/faults.md is made of it. */
export const ways: Record<Need, { what: string } & Record<ProxyKind, Way>> = {
  'stop-server': {
    what: 'a server that is stopped and started, and refused connections meanwhile',
    embedded: { how: 'the listener refuses while the server does' },
    toxiproxy: {
      how: '`enabled: false` once the server is gone, so that its last words pass, and `true` when it takes connections again',
    },
    virtual: { how: 'as embedded, simulated' },
  },
  latency: {
    what: 'chunks that are delayed, each way',
    embedded: { how: 'two `latency` toxics' },
    toxiproxy: { how: 'two `latency` toxics' },
    virtual: { how: 'as embedded, simulated' },
  },
  'idle-kill': {
    what: 'connections told apart, and ended by how long they are idle',
    embedded: itself,
    toxiproxy: {
      how: 'one Toxiproxy proxy per connection, behind a process of ours that knows when bytes last passed: `timeout` 0 both ways (drop), or the proxy is deleted (fin)',
    },
    virtual: { how: 'as embedded, simulated' },
  },
  'idle-reset': {
    what: 'the same with a true RST',
    embedded: itself,
    toxiproxy: {
      how: '`reset_peer` with toxicity 0 on every one of these proxies before it is dialed; then it is deleted',
    },
    virtual: { how: 'as embedded, simulated' },
  },
  'packet-loss': {
    what: 'packets that are lost, so that nothing is acknowledged',
    embedded: { how: "nftables on the proxy's port: Linux, root or CAP_NET_ADMIN, `nft`" },
    toxiproxy: { how: "nftables on the proxy's port: Linux, root or CAP_NET_ADMIN, `nft`" },
    virtual: {
      no: 'the simulated network retransmits nothing: what it drops never comes again, though a real kernel would send it after the heal',
    },
  },
};
