/** Cuts `bytes` into pieces of the given sizes, in turn; each piece has memory of its own, as a socket's chunks have. */
export function pieces(bytes: Buffer, ...sizes: number[]): Buffer[] {
  const cut: Buffer[] = [];
  for (let pos = 0, i = 0; pos < bytes.length; i++) {
    const size = sizes[i % sizes.length]!;
    cut.push(Buffer.from(bytes.subarray(pos, pos + size)));
    pos += size;
  }
  return cut;
}
