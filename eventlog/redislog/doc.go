// Package redislog keeps topics in Redis 7.0 or later, one server, Sentinel or a Redis Cluster: a topic is a stream of its items and
// what is to be known of it, under keys of one slot, and whatever changes it is a script that Redis runs in one step. So all programs
// that use the same prefix see the same topics, whichever of them appends.
//
// What an acknowledgement means is what the server's configuration makes of it: with "appendonly yes" and "appendfsync always" the
// batch is on the disk, with "everysec" all but the last second is, and without either it is as safe as the memory of the server. A
// failover may lose what the replica had not got: see WAIT in the documentation of Redis.
//
// A user with rules needs EVAL, EVALSHA, XADD, XRANGE, XREVRANGE, XTRIM, XDEL, HSET, HGET, HMGET, HDEL, HEXISTS, ZADD, ZSCORE,
// ZCARD, ZRANGE, ZRANGEBYSCORE, ZREM, SADD, SREM, SMEMBERS, DEL, PEXPIRE, TIME, SPUBLISH and SSUBSCRIBE for keys and channels that begin
// with the prefix, and CLUSTER SLOTS.
package redislog
