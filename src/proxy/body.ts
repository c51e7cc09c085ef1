import type { IncomingMessage } from 'node:http';
import { ApiError, badBody } from './api-error.ts';

/** Far above any real request. */
export const bodyBytesMax = 1024 * 1024;

/** The JSON that was sent. */
export async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    // Read to its end all the same: a client that is still sending would not see the answer.
    if (bytes <= bodyBytesMax) chunks.push(chunk);
  }
  if (bytes > bodyBytesMax)
    throw new ApiError(413, `request body: at most ${bodyBytesMax} bytes, got ${bytes}`);
  if (bytes === 0) throw badBody('EOF');
  return parsed(Buffer.concat(chunks).toString('utf8'));
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw badBody((error as Error).message);
  }
}
