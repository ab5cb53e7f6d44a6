// Watches a SKU, holds two units of it, and confirms them: `node agent.mjs HOST:PORT PROTOS SKU`.
import { randomUUID } from 'node:crypto'
import grpc from '@grpc/grpc-js'
import loader from '@grpc/proto-loader'

const [address, protos, sku] = process.argv.slice(2)
const files = ['hold_service', 'stock_service'].map((name) => `inventory/v1/${name}.proto`)
const options = { includeDirs: [protos], keepCase: true, longs: Number, enums: String, oneofs: true }
const { HoldService, StockService } = grpc.loadPackageDefinition(
  loader.loadSync(files, options),
).inventory.v1

const credentials = grpc.credentials.createInsecure()
const holds = new HoldService(address, credentials)
const stock = new StockService(address, credentials)

// A change: a deadline, and a key that every attempt of it would share.
function change(client, method, request) {
  const metadata = new grpc.Metadata()
  metadata.set('idempotency-key', randomUUID())
  return new Promise((resolve, reject) => {
    client[method](request, metadata, { deadline: Date.now() + 5000 }, (error, response) =>
      error ? reject(error) : resolve(response),
    )
  })
}

const seen = []
const watch = stock.WatchStock({ skus: [sku] })
watch.on('error', (error) => {
  // Ending it on purpose is an error too.
  if (seen.length < 2) throw error
})
for await (const message of watch) {
  if (message.event === 'heartbeat' && seen.length === 0) {
    const lines = [{ sku, location: 'online', quantity: 2 }]
    const { hold } = await change(holds, 'PlaceHold', { lines, reference: 'node' })
    await change(holds, 'ConfirmHold', { hold_id: hold.hold_id })
  }
  if (message.event === 'movement') seen.push(message.movement.kind)
  if (seen.length === 2) break
}
watch.cancel()
holds.close()
stock.close()
console.log(seen.join(' '))
