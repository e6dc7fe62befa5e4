package redisx

// Name is something to subscribe to: a channel, a pattern or a shard channel.
type Name struct {
	text string
	kind kind
}

type kind uint8

const (
	channel kind = iota
	pattern
	shard
	kinds
)

// Channel is the name of one channel.
func Channel(name string) Name { return Name{name, channel} }

// Pattern is the name of all channels that match a pattern of Redis' PSUBSCRIBE.
func Pattern(text string) Name { return Name{text, pattern} }

// Shard is the name of one shard channel, of which a server of a Redis Cluster has its part only.
func Shard(name string) Name { return Name{name, shard} }

// String returns the channel or the pattern.
func (n Name) String() string { return n.text }
