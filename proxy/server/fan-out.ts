import { Delivery } from "../cluster/delivery.ts";
import type { DeliveryContext, Order } from "../cluster/delivery.ts";
import { encodeError } from "../resp/encoder.ts";
import type { Request } from "../resp/request-parser.ts";
import type { Merge } from "../routing/merge.ts";
import { mergeReplies } from "../routing/merge.ts";
import type { Shard } from "../routing/topology.ts";

/** Gets the one reply that several became. */
type Settle = (reply: Buffer) => void;

const NOBODY = encodeError("CLUSTERDOWN no node owns a hash slot; the command was not executed");

/** A shard that is gone by the time it could be asked has none. */
function merged(merge: Merge, replies: readonly Buffer[]): Buffer {
  const given = replies.filter((reply) => reply.length > 0);
  return given.length === 0 ? NOBODY : mergeReplies(merge, given);
}

/**
 * Sends one request to every shard's master, last to those that keys come to, and merges the replies in the order of the shards.
 *
 * @param order where a master must be asked again
 */
export function fanOut(
  context: DeliveryContext,
  shards: readonly Shard[],
  request: Request,
  plan: { readonly merge: Merge; readonly readonly: boolean; readonly exclusive: boolean; readonly frame?: Buffer },
  settle: Settle,
  order: Order,
): readonly Delivery[] {
  const bytes = plan.frame ?? request.frame.subarray(request.start, request.end);
  if (shards.length === 0) {
    settle(NOBODY);
    return [];
  }
  const { readonly, exclusive } = plan;
  const replies = new Array<Buffer>(shards.length);
  let missing = shards.length;
  let awaited = shards.filter(({ late }) => !late).length;
  const deliveries = shards.map((shard, i) => {
    const got = (reply: Buffer): void => {
      replies[i] = reply;
      if (--missing === 0) settle(merged(plan.merge, replies));
      else if (!shard.late && --awaited === 0) start(true);
    };
    return new Delivery(context, { request: bytes, slot: shard.slot, readonly, exclusive, shard }, got, order);
  });
  const start = (late: boolean): void => {
    for (const [i, delivery] of deliveries.entries()) if (shards[i]!.late === late) delivery.start();
  };
  start(awaited === 0);
  return deliveries;
}
