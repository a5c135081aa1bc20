/** What the choice of a worker for a client goes by. */
export interface Candidate {
  /** Sockets that it was handed and that are not closed. */
  readonly sockets: number;
  /** Since when it owes an answer, or a sign that a socket has arrived, in milliseconds of the monotonic clock; undefined where it owes none. */
  readonly silentSince: number | undefined;
}

/** A worker that does not take a socket within this time hangs, or is very busy: another is better. */
const SILENT_MS = 1_000;

/**
 * The worker with the fewest clients: connections last, so that it is their number that balances, not their order of arrival; and
 * a worker that has taken a dead one's place fills up first. One that does not take what it was handed comes last.
 */
export function chooseWorker<Worker extends Candidate>(workers: readonly Worker[], now: number): Worker | undefined {
  const silent = ({ silentSince }: Worker): boolean => silentSince !== undefined && now - silentSince > SILENT_MS;
  let best: Worker | undefined;
  for (const worker of workers) {
    if (best === undefined || (silent(best) && !silent(worker)) || (silent(best) === silent(worker) && worker.sockets < best.sockets)) best = worker;
  }
  return best;
}
