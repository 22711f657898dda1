// Another colour map for a picture whose pixels are entries of a palette.

const PALETTE = 33 + 8; // where a PNG's palette begins: after the signature and its header
const COLOURS = 249; // entries that stand for values; those after them are no values

/**
 * Return the file of a palette picture with other colours for its values.
 * @param {DataView} picture a PNG file whose second chunk is a palette of 256 colours
 * @param {DataView} colours red, green and blue of each value's entry
 */
export function recoloured(picture, colours) {
  const file = new Uint8Array(picture.byteLength);
  file.set(new Uint8Array(picture.buffer, picture.byteOffset, picture.byteLength));
  const own = new Uint8Array(colours.buffer, colours.byteOffset, 3 * COLOURS);
  file.set(own, PALETTE);
  const sum = crc(file.subarray(PALETTE - 4, PALETTE + 768)); // of the chunk's name, too
  new DataView(file.buffer).setUint32(PALETTE + 768, sum);
  return file;
}

/**
 * The CRC-32 of the PNG specification, appendix D.
 * @param {Uint8Array} bytes
 */
function crc(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  }
  return ~sum >>> 0;
}
