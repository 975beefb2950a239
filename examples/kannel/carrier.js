// A carrier for the example: an SMSC by the npm package smpp (npm i smpp@0.5.1).
// It delivers every message after a second, and answers the first one with 退订.
const smpp = require('smpp');
let replied = false;
smpp.createServer((session) => {
  session.on('bind_transceiver', (pdu) => session.send(pdu.response()));
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('unbind', (pdu) => { session.send(pdu.response()); session.close(); });
  session.on('submit_sm', (pdu) => {
    const id = String(Date.now());
    console.log('submit_sm', pdu.short_message.message);
    session.send(pdu.response({ message_id: id }));
    setTimeout(() => session.deliver_sm({
      source_addr: pdu.destination_addr, destination_addr: pdu.source_addr, esm_class: 4, receipted_message_id: id, message_state: 2,
      short_message: { message: `id:${id} sub:001 dlvrd:001 submit date:2611240000 done date:2611240001 stat:DELIVRD err:000 text:` },
    }), 1000);
    if (replied) return;
    replied = true;
    setTimeout(() => session.deliver_sm({ source_addr: pdu.destination_addr, source_addr_ton: 1, source_addr_npi: 1, destination_addr: '95500', data_coding: 8,
      short_message: Buffer.from('退订', 'utf16le').swap16() }), 2000);
  });
}).listen(2775, '127.0.0.1');
