/**
 * Requests as an application would make them, one a line. A word that begins with % stands for something drawn anew:
 * a key whose type mostly fits (%s string, %c counter, %l list, %h hash, %e set, %z sorted set, %x stream, %g places, %p HyperLogLog),
 * %k a key of any kind; %v a value, %m a member or field, %i a whole number, %f a fraction, %id a stream's id, %t a time far ahead
 * (%ms in milliseconds), %far a span as long, %sha the digest of a script, %dump a serialized value.
 */
export const TEMPLATES: readonly string[] = `
SET %s %v
SET %c %i
SET %s %v NX
SET %s %v XX GET
SET %s %v KEEPTTL
SET %s %v EX %far
SET %s %v PXAT %ms GET
SETNX %s %v
SETEX %s %far %v
PSETEX %s %far %v
GET %s
GETSET %s %v
GETDEL %s
GETEX %s PERSIST
GETEX %s EXAT %t
APPEND %s %v
STRLEN %s
SUBSTR %s %i %i
GETRANGE %s %i %i
SETRANGE %s %i %v
MGET %s %s %s
MGET %k %k
MSET %s %v %s %v
MSETNX %s %v %s %v
INCR %c
DECR %c
INCRBY %c %i
DECRBY %c %i
INCRBYFLOAT %c %f
LCS %c %c
LCS %c %c IDX MINMATCHLEN %i WITHMATCHLEN
SETBIT %s %i 1
GETBIT %s %i
BITCOUNT %s
BITCOUNT %s %i %i BIT
BITPOS %s 1 %i
BITOP XOR %s %s %s
BITOP NOT %s %s
BITFIELD %s SET u8 %i %i GET u4 #1 OVERFLOW FAIL INCRBY i5 2 %i
BITFIELD_RO %s GET i8 %i
DEL %k %k
UNLINK %k
EXISTS %k %k %k
TOUCH %k %k
TYPE %k
RENAME %k %k
RENAMENX %k %k
COPY %k %k REPLACE
COPY %k %k DB 1
MOVE %k 1
PERSIST %k
EXPIRE %k %far GT
PEXPIRE %k %far
EXPIRE %k -1
EXPIREAT %k %t NX
PEXPIREAT %k %ms
EXPIRETIME %k
PEXPIRETIME %k
TTL %k
PTTL %k
DUMP %k
RESTORE %k 0 %dump REPLACE
RESTORE %k %ms %dump ABSTTL
RESTORE %k 0 %v
OBJECT ENCODING %k
OBJECT REFCOUNT %k
OBJECT IDLETIME %k
OBJECT FREQ %k
OBJECT HELP
SORT %l
SORT %l LIMIT %i %i DESC ALPHA
SORT %e ALPHA STORE %l
SORT %l BY w*
SORT_RO %z ALPHA
LPUSH %l %v %v
RPUSH %l %v %i %m
LPUSHX %l %v
RPUSHX %l %v
LPOP %l
RPOP %l %i
LRANGE %l %i %i
LRANGE %l 0 -1
LLEN %l
LINDEX %l %i
LINSERT %l BEFORE %v %v
LSET %l %i %v
LREM %l %i %v
LTRIM %l %i %i
LPOS %l %m RANK 1 COUNT 0
LMOVE %l %l LEFT RIGHT
RPOPLPUSH %l %l
LMPOP 2 %l %l LEFT COUNT %i
BLPOP %l %l 0.01
BRPOP %l 0.01
BLMOVE %l %l RIGHT LEFT 0.01
BRPOPLPUSH %l %l 0.01
BLMPOP 0.01 1 %l RIGHT
HSET %h %m %v %m %v
HSETNX %h %m %v
HMSET %h %m %v
HGET %h %m
HMGET %h %m %m
HGETALL %h
HKEYS %h
HVALS %h
HLEN %h
HDEL %h %m %m
HEXISTS %h %m
HSTRLEN %h %m
HINCRBY %h n %i
HINCRBYFLOAT %h n %f
HRANDFIELD %h
HRANDFIELD %h %i WITHVALUES
HSCAN %h 0 COUNT 100
SADD %e %m %m %i
SREM %e %m
SCARD %e
SISMEMBER %e %m
SMISMEMBER %e %m %m
SMEMBERS %e
SMOVE %e %e %m
SPOP %e 1000
SRANDMEMBER %e
SINTER %e %e
SINTERCARD 2 %e %e LIMIT %i
SINTERSTORE %e %e %e
SUNION %e %e
SUNIONSTORE %e %e %e
SDIFF %e %e
SDIFFSTORE %e %e %e
SSCAN %e 0
ZADD %z %f %m %i %m
ZADD %z GT CH %f %m
ZADD %z INCR %f %m
ZINCRBY %z %f %m
ZSCORE %z %m
ZMSCORE %z %m %m
ZCARD %z
ZCOUNT %z -inf %f
ZLEXCOUNT %z - +
ZRANK %z %m
ZREVRANK %z %m
ZRANGE %z 0 -1 WITHSCORES
ZRANGE %z (%f +inf BYSCORE LIMIT 0 %i
ZRANGE %z [%m + BYLEX
ZRANGESTORE %z %z 0 -1
ZREVRANGE %z 0 %i
ZRANGEBYSCORE %z -inf +inf WITHSCORES
ZREVRANGEBYSCORE %z +inf %f
ZRANGEBYLEX %z - [%m
ZREVRANGEBYLEX %z + -
ZREM %z %m
ZREMRANGEBYRANK %z %i %i
ZREMRANGEBYSCORE %z %f %f
ZREMRANGEBYLEX %z [%m [%m
ZPOPMIN %z
ZPOPMAX %z %i
ZMPOP 1 %z MIN
BZPOPMIN %z 0.01
BZPOPMAX %z %z 0.01
BZMPOP 0.01 2 %z %z MAX
ZRANDMEMBER %z %i
ZDIFF 2 %z %z
ZDIFFSTORE %z 2 %z %z
ZINTER 2 %z %z WITHSCORES
ZINTERCARD 2 %z %z
ZINTERSTORE %z 2 %z %e WEIGHTS 2 %f AGGREGATE MAX
ZUNION 2 %z %z
ZUNIONSTORE %z 2 %z %z
ZSCAN %z 0
XADD %x %id %m %v
XADD %x NOMKSTREAM MAXLEN = %i %id %m %v %m %v
XLEN %x
XRANGE %x - +
XREVRANGE %x + %id COUNT %i
XREAD COUNT 2 STREAMS %x %id
XREAD STREAMS %x %x 0 %id
XREAD BLOCK 10 STREAMS %x $
XDEL %x %id
XTRIM %x MAXLEN %i
XSETID %x %id
XGROUP CREATE %x g1 %id MKSTREAM
XGROUP CREATECONSUMER %x g1 %m
XGROUP DELCONSUMER %x g1 %m
XGROUP SETID %x g1 %id
XGROUP DESTROY %x g1
XREADGROUP GROUP g1 %m COUNT 3 STREAMS %x >
XREADGROUP GROUP g1 %m BLOCK 10 STREAMS %x >
XACK %x g1 %id
XPENDING %x g1
XCLAIM %x g1 %m 0 %id
XAUTOCLAIM %x g1 %m 0 0
XINFO STREAM %x
XINFO GROUPS %x
XINFO CONSUMERS %x g1
GEOADD %g 13.361389 38.115556 %m 15.087269 37.502669 %m
GEODIST %g %m %m km
GEOHASH %g %m
GEOPOS %g %m %m
GEORADIUS %g 15 37 200 km ASC
GEORADIUS_RO %g 15 37 200 km WITHCOORD DESC
GEORADIUSBYMEMBER %g %m 200 km STORE %z
GEORADIUSBYMEMBER_RO %g %m 100 mi
GEOSEARCH %g FROMLONLAT 15 37 BYBOX 400 400 km ASC WITHDIST
GEOSEARCHSTORE %z %g FROMMEMBER %m BYRADIUS 200 km
PFADD %p %m %m
PFCOUNT %p %p
PFMERGE %p %p %p
EVAL return_ARGV 0 %v %m %i
EVAL return_KEYS 2 %k %k
EVAL get_and_set 1 %s %v
EVAL get_and_set 1 %l %v
EVAL fails 1 %k
EVAL_RO get 1 %s
EVAL_RO get_and_set 1 %s %v
EVAL %v 0
EVAL return_KEYS %i %k
EVALSHA %sha 1 %s %v
EVALSHA_RO %sha 1 %s
FCALL append 1 %s %v
FCALL_RO length 1 %s
FCALL_RO append 1 %s %v
FCALL nothing 1 %k
FUNCTION LOAD REPLACE library
FUNCTION LOAD library
FUNCTION LOAD %v
FUNCTION DELETE lib
FUNCTION LIST
FUNCTION STATS
FUNCTION KILL
FUNCTION DUMP
FUNCTION RESTORE %v
FUNCTION HELP
SCRIPT LOAD get_and_set
SCRIPT LOAD %v
SCRIPT EXISTS %sha %sha
SCRIPT FLUSH
SCRIPT FLUSH ASYNC
SCRIPT HELP
DBSIZE
KEYS *
KEYS {a}*
KEYS %k
RANDOMKEY
FLUSHALL
FLUSHDB ASYNC
FLUSHALL %v
PING
PING %v
ECHO %v
SELECT 0
SELECT 1
SWAPDB 0 1
DISCARD
UNWATCH
PUBLISH %k %v
SPUBLISH %k %v
PUBSUB CHANNELS
PUBSUB NUMSUB %m %m
PUBSUB NUMPAT
PUBSUB SHARDCHANNELS
PUBSUB SHARDNUMSUB %m
UNSUBSCRIBE
UNSUBSCRIBE %m %v
COMMAND COUNT
COMMAND GETKEYS MSET a 1 b 2
COMMAND GETKEYSANDFLAGS SET %k %v
COMMAND INFO get nonsense
COMMAND DOCS set
COMMAND LIST FILTERBY ACLCAT geo
OBJECT NONSENSE %k
NONSENSE %k %v
GET
`
  .trim()
  .split("\n");

/** The arguments that a template names by one word. */
export const TEXTS: Readonly<Record<string, string>> = {
  return_ARGV: "return ARGV",
  return_KEYS: "return KEYS",
  get: "return redis.call('GET', KEYS[1])",
  get_and_set: "local old = redis.call('GET', KEYS[1]); redis.call('SET', KEYS[1], ARGV[1] or ''); return {old, #KEYS, redis.status_reply('fine')}",
  fails: "return redis.call('INCRBY', KEYS[1], 'no number')",
  library: [
    "#!lua name=lib",
    "redis.register_function('append', function(keys, args) return redis.call('APPEND', keys[1], args[1]) end)",
    "redis.register_function{function_name='length', callback=function(keys) return redis.call('STRLEN', keys[1]) end, flags={'no-writes'}}",
  ].join("\n"),
};
