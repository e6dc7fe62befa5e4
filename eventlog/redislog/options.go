package redislog

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"github.com/peal-dev/peal/internal/redisx"
)

// DefaultPrefix begins the keys of a store.
const DefaultPrefix = "peal:log"

// Options configure a [Store].
type Options struct {
	// URL says where Redis is, as [github.com/peal-dev/peal/adapter/redispubsub.Options] has it: a server, Sentinel, or any server
	// of a Redis Cluster. Required.
	URL string
	// Username, Password, Credentials, Dial and TLS are as there.
	Username, Password string
	Credentials        func(ctx context.Context) (username, password string, err error)
	Dial               func(ctx context.Context, network, addr string) (net.Conn, error)
	TLS                *tls.Config
	// Timeout bounds making a connection, and waiting for an answer. 0 means 3 s.
	Timeout time.Duration
	// Prefix begins all keys and channels: stores with the same one have the same topics. "" means DefaultPrefix. It has no braces.
	Prefix string
}

// errBraces: what is in braces decides in which slot of a cluster a key lies.
var errBraces = errors.New("redislog: a Prefix with braces")

func (o *Options) redis() redisx.Options {
	return redisx.Options{URL: o.URL, Username: o.Username, Password: o.Password, Credentials: o.Credentials, Dial: o.Dial, TLS: o.TLS,
		Timeout: cmp.Or(o.Timeout, redisx.DefaultTimeout)}
}
