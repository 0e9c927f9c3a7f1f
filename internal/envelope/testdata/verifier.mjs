// A verifier of sealed records, written from the package's documentation alone. It proves that the documentation is
// enough to write one in another language.
//
//   node verifier.mjs < {"secret":"...","namespace":"...","kind":"...","place":["..."],"record":"..."}
//
// prints the object that was signed, or exits with 1.
import crypto from 'node:crypto';
import fs from 'node:fs';

const tail = /,"kid":"([A-Za-z0-9][A-Za-z0-9._-]{0,127})","signature":"([0-9a-f]{64})"}$/;

function field(x) {
  const bytes = Buffer.from(x);
  const length = Buffer.alloc(8);
  length.writeBigUInt64BE(BigInt(bytes.length));
  return Buffer.concat([length, bytes]);
}

function open({ secret, namespace, kind, place, record }) {
  const match = tail.exec(record);
  if (!match) throw new Error('malformed');
  const body = record.slice(0, -80);
  const key = Buffer.from(crypto.hkdfSync('sha256', secret, 'coord/v1', namespace, 32));
  const fields = ['coord/v1', kind, namespace, ...place, body].map(field);
  const want = crypto.createHmac('sha256', key).update(Buffer.concat(fields)).digest();
  if (!crypto.timingSafeEqual(want, Buffer.from(match[2], 'hex'))) throw new Error('forged');
  return JSON.parse(body + '}');
}

process.stdout.write(JSON.stringify(open(JSON.parse(fs.readFileSync(0, 'utf8')))));
