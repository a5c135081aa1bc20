/** Hash slots of a cluster (Redis cluster specification, "Key distribution model"): 0..16383. */
export const SLOTS = 16_384;

const OPEN = 0x7b;
const CLOSE = 0x7d;

/**
 * CRC16-CCITT (XMODEM): polynomial 0x1021, initial value 0, as the cluster specification's appendix A defines it. Entry
 * `256 * n + byte` is what a byte with `n` more behind it comes to, so that four are taken at a time.
 */
const CRC16 = new Uint16Array(4 * 256);
for (let byte = 0; byte < 256; byte++) {
  let crc = byte << 8;
  for (let bit = 0; bit < 32; bit++) {
    crc = (crc & 0x8000) !== 0 ? ((crc << 1) ^ 0x1021) & 0xffff : crc << 1;
    if (bit % 8 === 7) CRC16[256 * (bit >> 3) + byte] = crc;
  }
}

/**
 * The hash slot of the key `buffer[start, end)`: of its hash tag, where it has one that is not empty
 * (Redis cluster specification, "Hash tags"), else of all of it.
 */
export function slotOf(buffer: Buffer, start: number, end: number): number {
  for (let i = start; i < end; i++) {
    if (buffer[i] !== OPEN) continue;
    for (let j = i + 1; j < end; j++) {
      if (buffer[j] !== CLOSE) continue;
      return j > i + 1 ? crc16(buffer, i + 1, j) & (SLOTS - 1) : crc16(buffer, start, end) & (SLOTS - 1);
    }
    break;
  }
  return crc16(buffer, start, end) & (SLOTS - 1);
}

function crc16(buffer: Buffer, start: number, end: number): number {
  let crc = 0;
  let i = start;
  for (; i + 4 <= end; i += 4) {
    crc = CRC16[768 + ((crc >> 8) ^ buffer[i]!)]! ^ CRC16[512 + ((crc & 0xff) ^ buffer[i + 1]!)]! ^ CRC16[256 + buffer[i + 2]!]! ^ CRC16[buffer[i + 3]!]!;
  }
  for (; i < end; i++) crc = ((crc << 8) & 0xffff) ^ CRC16[(crc >> 8) ^ buffer[i]!]!;
  return crc;
}
