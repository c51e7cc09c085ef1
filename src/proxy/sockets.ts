import type { ServerOpts, Socket } from 'node:net';
import type { Clock } from '../clock.ts';

/**
 * Both sides of every link. Half-open: a FIN is passed on, not answered. The buffer size: with Node's 16 KiB every full
 * read would stop its source until the next tick.
 */
export const socketOptions = {
  allowHalfOpen: true,
  noDelay: true,
  highWaterMark: 256 * 1024,
} satisfies ServerOpts;

/** A true RST; what was not sent yet is lost. */
export function reset(socket: Socket): void {
  // A reset while a FIN waits behind unsent bytes fails in libuv with EINVAL and would leak the descriptor.
  if (socket.writableEnded && !socket.writableFinished) socket.destroy();
  else if (!socket.destroyed) socket.resetAndDestroy();
}

const lingerMs = 1000;

/**
 * A FIN that stays one: a socket closed before its peer's first bytes are read would answer them with a RST. Returns
 * what stops the timer; the socket stays the caller's to destroy.
 */
export function endSoftly(socket: Socket, clock: Clock): () => void {
  const cancel = clock.after(lingerMs, () => socket.destroy());
  socket.on('end', () => socket.destroySoon());
  socket.resume();
  socket.end();
  return cancel;
}
