/**
 * Where the embedded proxy is not as Toxiproxy 2.12, on purpose. Each is asserted on both sides by the suite beside
 * this file; docs/proxy.md tells the same to its readers.
 */
export const differences = {
  version: 'It names the Toxiproxy it stands in for, and itself.',
  fields: 'A proxy has `mirror` on top; the empty `Logger` that Toxiproxy lets slip out is missing.',
  loopback:
    'Without a host in its listen address a proxy is reachable from here only: 127.0.0.1, not every interface.',
  'words-of-fields':
    'An ill-typed field is named as the sender wrote it, with what was expected; not as a type of Go.',
  'words-of-json': 'What is no JSON is described by Node. Status and prefix are the same.',
  'known-types': 'An unknown toxic type is answered with the known ones.',
  'one-json-value': 'A body is one JSON value; text behind it is refused, not ignored.',
  'whole-numbers': '1e2 and 1.0 are the whole numbers they are; Go refuses them for how they are written.',
  'toxicity-as-sent': 'Toxicity keeps the digits it was sent with; Go rounds it to 32 bits.',
  'longest-time': 'A time of more than 2^31-1 ms (24.8 days) is refused: a timer of Node would fire at once.',
  'all-or-nothing':
    'A refused change of a toxic changes nothing; Go keeps the fields it read before the bad one.',
  'bad-escape': 'A broken %-escape in the path is answered as every other error is, in JSON.',
  'paths-as-sent': 'Paths are not tidied up: `//proxies` is unknown, not a redirect.',
  'slash-in-a-name':
    'A proxy with a slash in its name can be reached (as %2F); in Toxiproxy it cannot be removed.',
  'held-latency':
    'A changed latency holds for what is held already; Toxiproxy lets one held chunk go at every change.',
  'reset-of-live':
    'reset_peer resets connections that were open before it came, too; Toxiproxy ends those politely (FIN).',
  'latency-adds':
    'latency adds to what the toxics before it took; Toxiproxy counts the wait of bandwidth as part of it.',
  'half-close':
    'The end of one direction is passed on and the other stays open; Toxiproxy closes both at once.',
  'healed-timeout':
    'timeout that let go of a connection (toxicity 0) leaves it alone when it is removed; Toxiproxy closes it all the same.',
  'no-linger':
    'reset_peer with toxicity 0 does nothing at all; in Toxiproxy it makes every later end of its connections a reset.',
  'ends-at-once':
    'A toxic that ends a connection ends it at once; in Toxiproxy the end passes through the toxics behind it.',
  'populate-toxics': '/populate takes toxics along; Toxiproxy ignores them there.',
  'slicer-size':
    'slicer wants an average_size of at least 1 and no negative numbers; Toxiproxy takes 0 and falls over the next byte.',
  'body-limit': 'A request body is at most 1 MiB.',
  'toxics-limit': 'A proxy has at most 100 toxics.',
  connections: 'The connections of a proxy can be listed and ended: /proxies/{proxy}/connections.',
  'own-toxics': 'Toxics that Toxiproxy does not have.',
  select: 'A toxic can be told which connections it may hit (`select`); Toxiproxy ignores the field.',
  'exit-codes': 'Bad flags end with exit code 64, as of every command here; Go ends with 2.',
  metrics:
    'Bytes are counted as they pass, and connections and kills, too; Toxiproxy counts the bytes of a connection when it ends.',
  'negative-rate':
    'bandwidth wants a rate of 0 or more; Toxiproxy takes a negative one and falls over the next byte.',
  'timeout-anew':
    'timeout starts its wait anew with bytes and with an update; in Toxiproxy a toxic added behind it does so, too.',
  'bad-config': 'A config file that cannot be read ends the server; Toxiproxy goes on without its proxies.',
} satisfies Record<string, string>;

export type DifferenceName = keyof typeof differences;
