import type { Socket } from 'node:net';
import type { Clock } from '../clock.ts';
import { reset } from './sockets.ts';

/**
 * A connection a firewall has forgotten: bytes, FIN and RST of either end vanish and the other end is never told.
 * (Our kernel still acknowledges them, so that keepalives go on being answered; only dropping packets can change that.)
 * The client's kernel would retransmit for `giveUpMs` from the first thing it sends, then report an error: a RST here.
 * Returns what stops the timer; the sockets stay the caller's to destroy.
 */
export function fallSilent(
  client: Socket,
  upstream: Socket | null,
  giveUpMs: number,
  clock: Clock,
): () => void {
  let cancel: (() => void) | null = null;
  const sent = () => {
    cancel ??= clock.after(giveUpMs, () => reset(client));
  };
  // Nobody can tell any more when both ends are gone; until then an ended client may still be half open.
  const forget = () => {
    if (client.destroyed && upstream?.readableEnded) upstream.destroy();
  };
  client.on('data', sent).on('end', sent).on('close', forget);
  upstream?.on('data', () => {}).on('end', forget);
  if (client.readableEnded) sent();
  client.resume();
  upstream?.resume();
  return () => cancel?.();
}
