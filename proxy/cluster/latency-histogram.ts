/** Upper bounds of the buckets, in milliseconds; what takes longer is in none but the count. */
export const LATENCY_BOUNDS_MS: readonly number[] = [0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000];

/** How long things took, as a histogram with fixed buckets. */
export class LatencyHistogram {
  count = 0;
  sumMs = 0;
  /** How many fell between one bound and the one before it, in the order of `LATENCY_BOUNDS_MS`. */
  readonly buckets: number[] = new Array<number>(LATENCY_BOUNDS_MS.length).fill(0);

  /** Books `times` things that took `ms` milliseconds each. */
  observe(ms: number, times = 1): void {
    this.count += times;
    this.sumMs += ms * times;
    for (let i = 0; i < LATENCY_BOUNDS_MS.length; i++) {
      if (ms > LATENCY_BOUNDS_MS[i]!) continue;
      this.buckets[i]! += times;
      return;
    }
  }
}
