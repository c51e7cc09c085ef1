/** Linux's numbers, whatever this runs on: they stand in records. */
const errnos: Record<string, number> = {
  EPIPE: -32,
  EADDRINUSE: -98,
  EADDRNOTAVAIL: -99,
  ECONNRESET: -104,
  ETIMEDOUT: -110,
  ECONNREFUSED: -111,
  ENOTFOUND: -3008,
};

/**
 * Thousands are made while a server is away, and node reads the stack of each it destroys a socket with. Where
 * in the simulation they were made says nothing, so they have none.
 */
function errorOf(message: string): Error {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  const error = new Error(message);
  Error.stackTraceLimit = stackTraceLimit;
  return error;
}

/** An error as node makes it of what the kernel said; fields in node's order. */
export function socketError(syscall: string, code: string, address?: string, port?: number): Error {
  const where = address === undefined ? '' : ` ${address}:${port}`;
  return Object.assign(errorOf(`${syscall} ${code}${where}`), {
    errno: errnos[code],
    code,
    syscall,
    ...(address !== undefined && { address, port }),
  });
}

export const hostNotFound = (hostname: string): Error =>
  Object.assign(errorOf(`getaddrinfo ENOTFOUND ${hostname}`), {
    errno: errnos.ENOTFOUND,
    code: 'ENOTFOUND',
    syscall: 'getaddrinfo',
    hostname,
  });

/** An error of node itself. */
export const nodeError = (code: string, message: string): Error => Object.assign(errorOf(message), { code });
