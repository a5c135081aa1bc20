/** What the sessions of a process have done so far, over all databases. */
export interface Totals {
  sessions: number;
  refusedConnections: number;
  commands: number;
  errors: number;
  denied: number;
  dropped: number;
}
