package redisx

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/redis/rueidis"
)

// DefaultTimeout is the default of [Options].Timeout.
const DefaultTimeout = 3 * time.Second

// Options say how to reach Redis.
type Options struct {
	// URL is redis://[user:password@]host[:port][/db], rediss:// for TLS, or unix:///path/to.sock. With
	// ?master_set=name it names a Sentinel, and further &addr=host:port more of them. Of a Redis Cluster any node will
	// do: it passes on what is published.
	URL string
	// Username and Password are of Redis' access control list. What is set takes the place of what URL says.
	Username, Password string
	// TLS is how a server of rediss:// is spoken to, such as by which authorities it is known and by which certificate
	// it knows its clients. Without a ServerName it is the host of URL. Nil means what URL says. It is copied.
	TLS *tls.Config
	// Timeout bounds making a connection, and waiting for an answer. 0 means DefaultTimeout.
	Timeout time.Duration
}

// Validate returns what is wrong with o. It does not repeat the URL, which may hold a password, and connects to nothing.
func (o Options) Validate() error {
	_, err := o.clientOption()
	return err
}

// keepAlive is after how much silence a connection is probed. One that does not answer for Timeout is given up.
const keepAlive = 2 * time.Second

// bufferSize is a connection's read and write buffer each. The library's default is half a megabyte.
const bufferSize = 64 << 10

// clientOption turns o into the library's options. Errors do not repeat the URL, which may hold a password.
func (o *Options) clientOption() (rueidis.ClientOption, error) {
	if o.URL == "" {
		return rueidis.ClientOption{}, errors.New("redis: no URL; want redis://host:port")
	}
	u, err := url.Parse(o.URL)
	if err != nil {
		if inner := (*url.Error)(nil); errors.As(err, &inner) {
			err = inner.Err
		}
		return rueidis.ClientOption{}, fmt.Errorf("redis: malformed URL: %w", err)
	}
	switch u.Scheme {
	case "redis", "rediss":
		if u.Hostname() == "" {
			return rueidis.ClientOption{}, errors.New("redis: URL without host; want redis://host:port")
		}
	case "unix":
		if u.Path == "" {
			return rueidis.ClientOption{}, errors.New("redis: URL without path; want unix:///path/to.sock")
		}
	case "":
		return rueidis.ClientOption{}, errors.New("redis: URL without scheme; want redis://host:port")
	default:
		return rueidis.ClientOption{}, fmt.Errorf("redis: URL scheme %q; want redis, rediss or unix", u.Scheme)
	}
	opt, err := rueidis.ParseURL(o.URL)
	if err != nil {
		return rueidis.ClientOption{}, err
	}
	if opt.Sentinel.MasterSet == "" && len(opt.InitAddress) > 1 {
		return rueidis.ClientOption{}, errors.New("redis: URL with several addresses but without master_set")
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.TLS != nil {
		if opt.TLSConfig == nil {
			return rueidis.ClientOption{}, errors.New("redis: options for TLS and a URL without; want rediss://host:port")
		}
		config := o.TLS.Clone()
		config.ServerName = cmp.Or(config.ServerName, opt.TLSConfig.ServerName)
		opt.TLSConfig = config
	}
	opt.Username, opt.Password = cmp.Or(o.Username, opt.Username), cmp.Or(o.Password, opt.Password)
	opt.Dialer.Timeout = o.Timeout
	opt.Dialer.KeepAlive = keepAlive
	opt.ConnWriteTimeout = o.Timeout
	opt.Sentinel.Dialer = opt.Dialer
	opt.Sentinel.TLSConfig = opt.TLSConfig
	opt.Sentinel.TopologyRefreshInterval = 5 * time.Second
	opt.ReadBufferEachConn = bufferSize
	opt.WriteBufferEachConn = bufferSize
	if opt.ClientName == "" {
		opt.ClientName = "peal"
	}
	// No guessing whether it is a cluster: pub/sub works through any node, and a client is made even while Redis is away.
	opt.ForceSingleClient = opt.Sentinel.MasterSet == ""
	// 0 would mean several connections, and with them no order.
	opt.PipelineMultiplex = -1
	// Else nobody reads while nothing is published, and the first publish after Redis was restarted finds out and is lost.
	opt.AlwaysPipelining = true
	opt.DisableCache = true
	// The caller decides whether to say it twice.
	opt.DisableRetry = true
	return opt, nil
}

// dialer returns a dial function that gives up when closed is.
func dialer(next func(context.Context, string, *net.Dialer, *tls.Config) (net.Conn, error), closed <-chan struct{}) func(context.Context, string, *net.Dialer, *tls.Config) (net.Conn, error) {
	if next == nil {
		next = func(ctx context.Context, addr string, d *net.Dialer, config *tls.Config) (net.Conn, error) {
			if config == nil {
				return d.DialContext(ctx, "tcp", addr)
			}
			return (&tls.Dialer{NetDialer: d, Config: config}).DialContext(ctx, "tcp", addr)
		}
	}
	return func(ctx context.Context, addr string, d *net.Dialer, config *tls.Config) (net.Conn, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		go func() {
			select {
			case <-closed:
				cancel()
			case <-ctx.Done():
			}
		}()
		return next(ctx, addr, d, config)
	}
}
