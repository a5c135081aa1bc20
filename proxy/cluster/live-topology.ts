import type { DatabaseOptions } from "./database.ts";
import { SLOTS } from "../routing/slot.ts";
import type { Address, Shard, Topology } from "../routing/topology.ts";
import { addressKey, answersIn, moveSlot, movesBetween, ownerOf, sameTopology, shardsOf, standaloneTopology } from "../routing/topology.ts";
import { survey } from "./topology-source.ts";
import type { UserConnections } from "./user-connections.ts";

/** A survey starts at the earliest so long after the last one started, whatever the evidence. */
const REFRESH_PAUSE_MS = 100;
/**
 * A topology that is no older counts as what is, for commands that are sent to every master: they cost each node more than the
 * question who the masters are. Of keys that have gone to a new one meanwhile they would not know.
 */
const FRESH_MS = 100;
/** Who has been given a slot may be given more for so long: tools move slots one after the other. */
const RECEIVING_MS = 10_000;
const NO_TOPOLOGY: Topology = { masters: [], guests: [], owners: new Int16Array(SLOTS).fill(-1) };

/** What following a topology needs. */
export interface TopologyHost extends Pick<DatabaseOptions, "name" | "mode" | "seeds" | "log"> {
  /** Whose connections the nodes are asked by; undefined while there is nobody. */
  readonly asker: () => UserConnections | undefined;
  /** Of redirections and surveys seen. */
  readonly counters: { moved: number; refreshes: number; refreshFailures: number };
  /** There is another topology. */
  readonly adopted: (topology: Topology) => void;
}

/** Who owns the slots of one database, as far as its nodes say: read in surveys, corrected by redirections. */
export class LiveTopology {
  /** Counts the changes. */
  epoch = 0;

  readonly #host: TopologyHost;
  #topology: Topology;
  /** The last one that the log tells of. */
  #told: Topology;
  #nodes: readonly Address[];
  #names: ReadonlySet<string> = new Set();
  #refreshing: Promise<void> | undefined;
  #lastRefreshAt = -Infinity;
  /** A redirection has told of one slot, and nobody yet of those that may have moved with it. */
  #patched = false;
  #surveyedAt = -Infinity;
  /** When each node was last seen to be given slots, or keys. */
  readonly #receivedAt = new Map<string, number>();
  #closed = false;

  constructor(host: TopologyHost) {
    this.#host = host;
    this.#nodes = host.seeds;
    this.#topology = host.mode === "standalone" ? standaloneTopology(host.seeds[0]!) : NO_TOPOLOGY;
    this.#told = this.#topology;
  }

  /** As it is known now; without masters before the first survey of a cluster. */
  get current(): Topology {
    return this.#topology;
  }

  /** The shards there are now. */
  get shards(): Shard[] {
    const since = performance.now() - RECEIVING_MS;
    for (const [node, at] of this.#receivedAt) if (at < since) this.#receivedAt.delete(node);
    return shardsOf(this.#topology, new Set(this.#receivedAt.keys()));
  }

  /** All addresses that are known, each once: masters first, then other nodes, then seeds. */
  get addresses(): Address[] {
    return distinct([...this.#topology.masters, ...this.#nodes, ...this.#host.seeds]);
  }

  /** Whether the nodes themselves name this address. */
  knows(address: Address): boolean {
    return this.#names.has(addressKey(address));
  }

  /**
   * Where the topology may be old, what is to be waited for before every master is asked. Commands with a key are told by a
   * node that does not own it; DBSIZE and KEYS are answered by a master that has become a replica as if nothing had happened.
   * It ends soon, whatever becomes of the survey.
   */
  get unsurveyed(): Promise<void> | undefined {
    if (this.#host.mode === "standalone" || (!this.#patched && performance.now() - this.#surveyedAt < FRESH_MS)) return undefined;
    this.refresh();
    return this.#refreshing;
  }

  /** Reads the topology anew, soon: many calls make one survey. */
  refresh(): void {
    if (this.#closed || this.#host.mode === "standalone" || this.#refreshing !== undefined) return;
    const pause = this.#lastRefreshAt + REFRESH_PAUSE_MS - performance.now();
    this.#refreshing = (pause > 0 ? delay(pause) : Promise.resolve())
      .then(() => this.#survey())
      .catch((error: unknown) => {
        this.#host.counters.refreshFailures++;
        this.#host.log("warn", "topology not read", { database: this.#host.name, error: error instanceof Error ? error.message : String(error) });
      })
      .finally(() => {
        this.#refreshing = undefined;
      });
  }

  /**
   * Reads it now, by these connections.
   *
   * @throws NoTopologyError where not one node gave a view with slots in it
   */
  async read(connections: UserConnections): Promise<void> {
    const found = await survey(connections, distinct([...this.#nodes, ...this.#host.seeds]), this.#topology.guests);
    this.#nodes = found.nodes;
    this.#names = found.names;
    this.#patched = false;
    this.#surveyedAt = performance.now();
    this.#adopt(found.topology);
    this.#tell();
  }

  /** A MOVED redirection was seen. */
  moved(slot: number, owner: Address): void {
    this.#host.counters.moved++;
    const known = ownerOf(this.#topology, slot);
    if (known === undefined || addressKey(known) !== addressKey(owner)) {
      this.#adopt(moveSlot(this.#topology, slot, owner));
      this.#patched = true;
    }
    this.refresh();
  }

  /** A slot's owner has sent a client to this node, for a key that may have moved: where it counts as no master, that is to be looked into. */
  redirectedTo(slot: number, address: Address): void {
    const owner = ownerOf(this.#topology, slot);
    this.#moved(owner === undefined ? [] : [addressKey(owner)], [addressKey(address)]);
    if (answersIn(this.#topology, address)) return;
    this.#patched = true;
    this.refresh();
  }

  /** Reads it no more. */
  close(): void {
    this.#closed = true;
  }

  async #survey(): Promise<void> {
    this.#lastRefreshAt = performance.now();
    const asker = this.#host.asker();
    if (asker === undefined || this.#closed) return;
    this.#host.counters.refreshes++;
    await this.read(asker);
  }

  /** Slots go that way now, whichever way they went before. */
  #moved(from: readonly string[], to: readonly string[]): void {
    const now = performance.now();
    for (const node of from) this.#receivedAt.delete(node);
    for (const node of to) this.#receivedAt.set(node, now);
  }

  #adopt(topology: Topology): void {
    if (sameTopology(this.#topology, topology)) return;
    const { from, to } = movesBetween(this.#topology, topology);
    this.#moved([...from], [...to]);
    this.#topology = topology;
    this.epoch++;
    this.#host.adopted(topology);
  }

  /** Once for all that redirections have told, slot by slot, since the last survey. */
  #tell(): void {
    if (sameTopology(this.#told, this.#topology)) return;
    this.#told = this.#topology;
    this.#host.log("info", "topology changed", { database: this.#host.name, epoch: this.epoch, masters: this.#topology.masters.map(addressKey) });
  }
}

function distinct(addresses: readonly Address[]): Address[] {
  return [...new Map(addresses.map((address) => [addressKey(address), address])).values()];
}

async function delay(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}
