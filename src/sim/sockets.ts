import net from 'node:net';
import type { Replacements } from './globals.ts';
import { VirtualSocket } from './net/socket.ts';
import type { VirtualNetwork } from './world.ts';

type Options = { fd?: unknown; handle?: unknown; allowHalfOpen?: boolean } | undefined;

/** What stands in for net.Socket and net.connect while the virtual world runs. */
export function socketsOf({ network }: VirtualNetwork): Pick<Replacements, 'Socket' | 'connect'> {
  const RealSocket = net.Socket;
  class WorldSocket extends VirtualSocket {
    constructor(options?: Options) {
      super(network, options);
    }
  }
  const Socket = new Proxy(WorldSocket, {
    // Parts of node call it without `new`; a TLS socket is made by calling it on one that inherits from the real one.
    apply: (_target, self, given: [Options]) =>
      self instanceof RealSocket ? Reflect.apply(RealSocket as never, self, given) : new Socket(...given),
    construct(target, given: [Options], newTarget) {
      const [{ fd, handle } = {}] = given;
      // A descriptor or handle that is there already, such as stdout's, is none of ours.
      const made = fd === undefined && handle === undefined ? target : RealSocket;
      return Reflect.construct(made, given, made === target ? newTarget : RealSocket);
    },
  });
  const connect = (...given: unknown[]) => {
    const [options] = given;
    const socket = new Socket(typeof options === 'object' ? (options as Options) : undefined);
    return (socket.connect as (...given: unknown[]) => unknown).apply(socket, given);
  };
  return { Socket, connect };
}
