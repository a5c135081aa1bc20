import { Delivery } from "../cluster/delivery.ts";
import type { DeliveryContext, Order } from "../cluster/delivery.ts";
import { encodeError } from "../resp/encoder.ts";
import type { Request } from "../resp/request-parser.ts";
import type { Merge } from "../routing/merge.ts";
import { mergeReplies } from "../routing/merge.ts";
import type { Topology } from "../routing/topology.ts";
import { shardsOf } from "../routing/topology.ts";

/** Gets the one reply that several became. */
type Settle = (reply: Buffer) => void;

const NOBODY = encodeError("CLUSTERDOWN no node owns a hash slot; the command was not executed");

/** A shard that is gone by the time it could be asked has none. */
function merged(merge: Merge, replies: readonly Buffer[]): Buffer {
  const given = replies.filter((reply) => reply.length > 0);
  return given.length === 0 ? NOBODY : mergeReplies(merge, given);
}

/**
 * Sends one request to every master and merges the replies, in the order of the slots they own.
 *
 * @param order where a master must be asked again
 */
export function fanOut(
  context: DeliveryContext,
  topology: Topology,
  request: Request,
  plan: { readonly merge: Merge; readonly readonly: boolean; readonly exclusive: boolean; readonly frame?: Buffer },
  settle: Settle,
  order: Order,
): readonly Delivery[] {
  const shards = shardsOf(topology);
  const bytes = plan.frame ?? request.frame.subarray(request.start, request.end);
  if (shards.length === 0) {
    settle(NOBODY);
    return [];
  }
  const { readonly, exclusive } = plan;
  const replies = new Array<Buffer>(shards.length);
  let missing = shards.length;
  const deliveries = shards.map((shard, i) => {
    const got = (reply: Buffer): void => {
      replies[i] = reply;
      if (--missing === 0) settle(merged(plan.merge, replies));
    };
    return new Delivery(context, { request: bytes, slot: shard.slot, readonly, exclusive, shard }, got, order);
  });
  for (const delivery of deliveries) delivery.start();
  return deliveries;
}
