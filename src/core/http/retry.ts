import { setTimeout as sleep } from "node:timers/promises";
import { coreError, isTsbuildError } from "../errors.ts";
import type { HttpResponse } from "./client.ts";
import { discardBody, withBodyRead } from "./response-body.ts";

/** How often and how patiently requests are repeated. */
export interface RetryPolicy {
  /** All tries together; 5 by default. */
  readonly attempts: number;
  /** Milliseconds before the second try, doubled for each further one; 300 by default. */
  readonly baseDelay: number;
  /** False where somebody else can be asked instead of waiting for a silent host a second time. */
  readonly repeatsTimeouts?: boolean | undefined;
}

export const defaultRetryPolicy: RetryPolicy = { attempts: 5, baseDelay: 300 };

const maxDelay = 60_000;
/** Waits that are longer than so many milliseconds are told. */
const worthTelling = 1000;

/** Answers that another try may change. */
export function isRetryableStatus(status: number): boolean {
  return [408, 429, 499, 500, 502, 503, 504, 522].includes(status);
}

export function isRetryableError(error: unknown): boolean {
  return isTsbuildError(error) && error.details["isRetryable"] === true;
}

export function isWorthRepeating(error: unknown, policy: RetryPolicy): boolean {
  if (policy.repeatsTimeouts === false && isTsbuildError(error, "HTTP_TIMEOUT")) return false;
  return isRetryableError(error);
}

/**
 * Milliseconds to wait before try number `attempt + 1`. What the server wishes (`Retry-After`, in seconds or as a
 * date) wins, up to a minute; otherwise the delay doubles, with up to a quarter of jitter so that many clients do
 * not come back together.
 */
export function retryDelay(options: {
  readonly attempt: number;
  readonly policy: RetryPolicy;
  readonly retryAfter?: string | undefined;
  readonly now?: Date;
}): number {
  const { attempt, policy, retryAfter, now = new Date() } = options;
  const wished = retryAfter === undefined ? undefined : parseRetryAfter(retryAfter, now);
  if (wished !== undefined) return Math.min(wished, maxDelay);
  const doubled = policy.baseDelay * 2 ** (attempt - 1);
  return Math.min(doubled * (1 + Math.random() / 4), maxDelay);
}

/** Sleeps, unless aborted. @throws CANCELED */
export async function waitFor(delay: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(delay, undefined, signal === undefined ? {} : { signal });
  } catch (cause) {
    throw coreError("CANCELED", "wait before another try: canceled", { cause });
  }
}

function parseRetryAfter(text: string, now: Date): number | undefined {
  if (/^\d+$/.test(text.trim())) return Number(text) * 1000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now.getTime());
}

/** Until when nobody asks a host again, in milliseconds since the epoch: what one request learned, all obey. */
const pauses = new Map<string, number>();

/** Waits until a host may be asked again. @throws CANCELED */
async function waitForHost(host: string, signal: AbortSignal | undefined): Promise<void> {
  for (;;) {
    const left = (pauses.get(host) ?? 0) - Date.now();
    if (left <= 0) return;
    await waitFor(left, signal);
  }
}

function pauseHost(host: string, delay: number): void {
  pauses.set(host, Math.max(pauses.get(host) ?? 0, Date.now() + delay));
}

export interface PatientRequest {
  /** `host:port` that is asked, whose pauses are obeyed. */
  readonly host: string;
  readonly policy: RetryPolicy;
  readonly signal: AbortSignal | undefined;
  /** Sends the same thing at each call. */
  readonly send: () => Promise<HttpResponse>;
  /** The answer is a document of so many bytes at most; one that breaks off in the middle is asked for again. */
  readonly bodyLimit?: number | undefined;
  /** The registry that people are told of anyway: a wait for it needs no name. */
  readonly registry?: string | undefined;
  /** Called with a sentence when people have to wait for longer than a moment. */
  readonly onWait?: ((text: string) => void) | undefined;
}

/**
 * Sends a request again while its failure looks passing. Returns the last answer, whatever it is.
 * @throws what `send` throws in the last try; CANCELED
 */
export async function sendPatiently(request: PatientRequest): Promise<HttpResponse> {
  const { host, policy, signal, send, bodyLimit } = request;
  for (let attempt = 1; ; attempt += 1) {
    const isLast = attempt >= policy.attempts;
    let retryAfter: string | undefined;
    let reason: string;
    await waitForHost(host, signal);
    try {
      const response = await send();
      if (isLast || !isRetryableStatus(response.status)) {
        if (policy.attempts === 1) pauseAfter(response, request);
        return bodyLimit === undefined ? response : await withBodyRead(response, bodyLimit);
      }
      retryAfter = response.header("retry-after");
      reason = `answers ${String(response.status)}`;
      await discardBody(response);
    } catch (error) {
      if (isLast || !isWorthRepeating(error, policy)) throw error;
      reason = "cannot be reached";
    }
    const delay = retryDelay({ attempt, policy, retryAfter });
    pauseHost(host, delay);
    if (delay > worthTelling) tellWait(request, `${reason}: trying again in ${seconds(delay)}`);
  }
}

/** What is sent once only, such as an upload, is followed by others: what the host wishes holds for them. */
function pauseAfter(response: HttpResponse, request: PatientRequest): void {
  const { host, policy } = request;
  const retryAfter = response.header("retry-after");
  if (retryAfter === undefined || !isRetryableStatus(response.status)) return;
  const delay = retryDelay({ attempt: 1, policy, retryAfter });
  pauseHost(host, delay);
  if (delay <= worthTelling) return;
  tellWait(
    request,
    `answers ${String(response.status)}: nothing is asked of it for ${seconds(delay)}`,
  );
}

function tellWait({ host, registry, onWait }: PatientRequest, text: string): void {
  onWait?.(host === registry ? text : `${host} ${text}`);
}

function seconds(delay: number): string {
  return `${String(Math.ceil(delay / 1000))} s`;
}
