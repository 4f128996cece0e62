import { isIP, type LookupFunction, Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/**
 * For the rest of the test, connections to one of these ports lead to a port of this machine instead. Their lookup is still
 * called and may refuse. Returns the addresses that the lookups gave, one entry for each connection.
 */
export function divert(ports: Record<number, number>): unknown[] {
  const handed: unknown[] = []
  const { connect } = Socket.prototype
  onTestFinished(() => {
    Socket.prototype.connect = connect
  })
  Socket.prototype.connect = function (this: Socket, ...args: unknown[]) {
    // node:http passes the pair [options, callback] as one argument, node:tls as two.
    const options = Object([args[0]].flat()[0])
    const port = ports[options.port]
    if (port !== undefined) {
      const lookup: LookupFunction = options.lookup
      options.port = port
      // If the host is an address, no lookup is called.
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
