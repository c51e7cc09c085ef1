/** An error the API answers with; any other is answered as 500. Messages and statuses are Toxiproxy's. */
export class ApiError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export const badBody = (what: string): ApiError => new ApiError(400, `bad request body: ${what}`);
export const missingField = (field: string): ApiError =>
  new ApiError(400, `missing required field: ${field}`);
export const proxyNotFound = (): ApiError => new ApiError(404, 'proxy not found');
export const proxyExists = (): ApiError => new ApiError(409, 'proxy already exists');
export const toxicNotFound = (): ApiError => new ApiError(404, 'toxic not found');
export const toxicExists = (): ApiError => new ApiError(409, 'toxic already exists');
export const invalidStream = (): ApiError =>
  new ApiError(400, 'stream was invalid, can be either upstream or downstream');
export const invalidToxicType = (known: string[]): ApiError =>
  new ApiError(400, `invalid toxic type, known: ${known.join(', ')}`);

// What Toxiproxy has no word for.
export const connectionNotFound = (): ApiError => new ApiError(404, 'connection not found');
export const aboveLimit = (what: string, limit: number, seen: number): ApiError =>
  new ApiError(400, `${what}: at most ${limit}, this would be ${seen}`);
