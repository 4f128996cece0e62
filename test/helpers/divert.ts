import { isIP, type LookupFunction, Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/**
 * For the rest of the test, whatever connects to one of these ports reaches a port of this computer instead. Its lookup is asked
 * all the same, and may refuse; the addresses that it hands over are returned, one entry a connection.
 */
export function divert(ports: Record<number, number>): unknown[] {
  const handed: unknown[] = []
  const { connect } = Socket.prototype
  onTestFinished(() => {
    Socket.prototype.connect = connect
  })
  Socket.prototype.connect = function (this: Socket, ...args: unknown[]) {
    // From node:http comes the pair [options, callback] as one argument, from node:tls as two.
    const options = Object([args[0]].flat()[0])
    const port = ports[options.port]
    if (port !== undefined) {
      const lookup: LookupFunction = options.lookup
      options.port = port
      // No lookup is asked for an address.
      if (isIP(options.host) !== 0) options.host = '127.0.0.1'
      const here: LookupFunction = (host, how, done) =>
        lookup(host, how, (error, address, family) => {
          if (error) return done(error, address, family)
          handed.push(address)
          return how.all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4)
        })
      options.lookup = here
    }
    return Reflect.apply(connect, this, args)
  }
  return handed
}
