// A legacy coordinator: its signSignal, its verifySignalSignature, its JSON.
//
//   BLOCKING_COORDINATION_SECRET=... node legacy.mjs sign coord-a coord-b wake   prints a signed signal
//   BLOCKING_COORDINATION_SECRET=... node legacy.mjs verify < signal             exits with 0 where it is genuine
import crypto from 'node:crypto';
import fs from 'node:fs';

function signSignal(signal) {
  const payload = `${signal.senderId}:${signal.receiverId}:${signal.type}:${signal.timestamp}`;
  return crypto
    .createHmac('sha256', process.env.BLOCKING_COORDINATION_SECRET)
    .update(payload)
    .digest('hex');
}

function verifySignalSignature(signal) {
  if (!signal.signature) return false;
  const expectedSignature = signSignal(signal);
  return crypto.timingSafeEqual(
    Buffer.from(signal.signature, 'hex'),
    Buffer.from(expectedSignature, 'hex')
  );
}

const [command, senderId, receiverId, type] = process.argv.slice(2);
if (command === 'sign') {
  const signal = { senderId, receiverId, type, timestamp: Date.now() };
  signal.signature = signSignal(signal);
  process.stdout.write(JSON.stringify(signal));
} else {
  const signal = JSON.parse(fs.readFileSync(0, 'utf8'));
  if (!verifySignalSignature(signal)) throw new Error('Invalid signal signature');
  process.stdout.write(`Signal received: ${signal.type}`);
}
