/** Hash slots of a cluster (Redis cluster specification, "Key distribution model"): 0..16383. */
export const SLOTS = 16_384;

const OPEN = 0x7b;
const CLOSE = 0x7d;

/** CRC16-CCITT (XMODEM): polynomial 0x1021, initial value 0, as the cluster specification's appendix A defines it. */
const CRC16 = new Uint16Array(256);
for (let byte = 0; byte < 256; byte++) {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) !== 0 ? (crc << 1) ^ 0x1021 : crc << 1;
  CRC16[byte] = crc;
}

/**
 * The hash slot of the key `buffer[start, end)`: of its hash tag, where it has one that is not empty
 * (Redis cluster specification, "Hash tags"), else of all of it.
 */
export function slotOf(buffer: Buffer, start: number, end: number): number {
  let from = start;
  let to = end;
  for (let i = start; i < end; i++) {
    if (buffer[i] !== OPEN) continue;
    for (let j = i + 1; j < end; j++) {
      if (buffer[j] !== CLOSE) continue;
      if (j > i + 1) {
        from = i + 1;
        to = j;
      }
      break;
    }
    break;
  }
  let crc = 0;
  for (let i = from; i < to; i++) crc = ((crc << 8) & 0xffff) ^ CRC16[(crc >> 8) ^ buffer[i]!]!;
  return crc & (SLOTS - 1);
}
