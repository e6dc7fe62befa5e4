package gateway

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/local"
	"github.com/peal-dev/peal/adapter/mongodb"
	"github.com/peal-dev/peal/adapter/postgres"
	"github.com/peal-dev/peal/adapter/redispubsub"
	"github.com/peal-dev/peal/adapter/redissharded"
	"github.com/peal-dev/peal/adapter/redisstreams"
)

// driver is what joins the node to others, whichever it is.
type driver interface {
	adapter.Driver
	Stats() adapter.DriverStats
}

// driverKind is one way to join a cluster, of which the scheme of Config.Cluster says that it is meant.
type driverKind struct {
	scheme  string
	broker  string // what /v1/stats calls it
	example string // of a URL
	// validate returns what is wrong with the URL, and connects to nothing. Open makes the driver, which connects in the
	// background.
	validate func(cfg *Config) error
	open     func(cfg *Config) (driver, error)
}

// driverKinds are all ways to join a cluster: the one place that knows them.
var driverKinds = []driverKind{
	redisKind("redis", "redis", "redis://127.0.0.1:6379/0"),
	redisKind("rediss", "rediss", "rediss://user:password@redis.internal:6379"),
	redisKind("redis+unix", "unix", "redis+unix:///run/redis/redis.sock"),
	redisKind("redis+sentinel", "redis", "redis+sentinel://10.0.0.7:26379/mymaster?addr=10.0.0.8:26379"),
	redisKind("rediss+sentinel", "rediss", "rediss+sentinel://10.0.0.7:26379/mymaster"),
	postgresKind("postgres", "postgres://user:password@db.internal:5432/app"),
	postgresKind("postgresql", "postgresql://user:password@db.internal:5432/app"),
	shardedKind("redis+sharded", "redis", "redis+sharded://127.0.0.1:6379?mode=dynamic"),
	shardedKind("rediss+sharded", "rediss", "rediss+sharded://redis.internal:6379"),
	shardedKind("redis+cluster", "redis", "redis+cluster://10.0.0.7:6379?addr=10.0.0.8:6379"),
	shardedKind("rediss+cluster", "rediss", "rediss+cluster://10.0.0.7:6379"),
	streamsKind("redis+streams", "redis", "redis+streams://127.0.0.1:6379"),
	streamsKind("rediss+streams", "rediss", "rediss+streams://redis.internal:6379"),
	mongodbKind("mongodb", "mongodb://user:password@10.0.0.7,10.0.0.8/app?replicaSet=rs0"),
	mongodbKind("mongodb+srv", "mongodb+srv://user:password@cluster.example/app"),
	{scheme: "unix", broker: "local", example: "unix:///run/peal",
		validate: func(cfg *Config) error { o := localOptions(cfg); return o.Validate() },
		open:     func(cfg *Config) (driver, error) { return local.New(localOptions(cfg)) }},
}

// localOptions join processes of one machine, whose directory is the path of the URL.
func localOptions(cfg *Config) local.Options {
	return local.Options{Dir: strings.TrimPrefix(strings.TrimPrefix(cfg.Cluster, "unix:"), "//"), Logger: cfg.Logger}
}

// redisKind is Redis Pub/Sub, under a scheme of ours that is one of the client's. One member of the URL's query is ours:
// specific.
func redisKind(scheme, theirs, example string) driverKind {
	options := func(cfg *Config) redispubsub.Options {
		address := theirs + strings.TrimPrefix(cfg.Cluster, scheme)
		if strings.HasSuffix(scheme, "+sentinel") {
			address = sentinelURL(address)
		}
		o := redispubsub.Options{Key: cfg.ClusterKey, Logger: cfg.Logger}
		o.URL = ours(address, func(query url.Values) { o.SpecificResponses = query.Has("specific") }, "specific")
		return o
	}
	return driverKind{scheme: scheme, broker: "redis", example: example,
		validate: func(cfg *Config) error {
			o := options(cfg)
			if strings.HasSuffix(scheme, "+sentinel") && !strings.Contains(o.URL, "master_set=") {
				return errors.New("the URL names no master")
			}
			return o.Validate()
		},
		open: func(cfg *Config) (driver, error) { return redispubsub.New(options(cfg)) },
	}
}

// postgresKind is PostgreSQL's LISTEN and NOTIFY.
func postgresKind(scheme, example string) driverKind {
	options := func(cfg *Config) postgres.Options {
		return postgres.Options{URL: cfg.Cluster, Key: cfg.ClusterKey, Logger: cfg.Logger}
	}
	return driverKind{scheme: scheme, broker: "postgres", example: example,
		validate: func(cfg *Config) error { o := options(cfg); return o.Validate() },
		open:     func(cfg *Config) (driver, error) { return postgres.New(options(cfg)) },
	}
}

// shardedKind is Redis' sharded Pub/Sub. Two members of the URL's query are ours: mode, and spread.
func shardedKind(scheme, theirs, example string) driverKind {
	options := func(cfg *Config) redissharded.Options {
		o := redissharded.Options{Prefix: cfg.ClusterKey, Logger: cfg.Logger}
		o.URL = ours(theirs+strings.TrimPrefix(cfg.Cluster, scheme), func(query url.Values) {
			o.Mode, o.SpreadRooms = redissharded.Mode(query.Get("mode")), query.Has("spread")
		}, "mode", "spread")
		return o
	}
	return driverKind{scheme: scheme, broker: "redis", example: example,
		validate: func(cfg *Config) error { o := options(cfg); return o.Validate() },
		open:     func(cfg *Config) (driver, error) { return redissharded.New(options(cfg)) },
	}
}

// mongodbKind is a collection of MongoDB, which the URL names with ?collection=.
func mongodbKind(scheme, example string) driverKind {
	options := func(cfg *Config) mongodb.Options { return mongodb.Options{URL: cfg.Cluster, Logger: cfg.Logger} }
	return driverKind{scheme: scheme, broker: "mongodb", example: example,
		validate: func(cfg *Config) error { o := options(cfg); return o.Validate() },
		open:     func(cfg *Config) (driver, error) { return mongodb.New(options(cfg)) },
	}
}

// streamsKind is Redis Streams. Two members of the URL's query are ours: sharded, and streams, how many there are.
func streamsKind(scheme, theirs, example string) driverKind {
	options := func(cfg *Config) (redisstreams.Options, error) {
		o := redisstreams.Options{StreamName: cfg.ClusterKey, ChannelPrefix: cfg.ClusterKey, Logger: cfg.Logger}
		var err error
		o.URL = ours(theirs+strings.TrimPrefix(cfg.Cluster, scheme), func(query url.Values) {
			o.ShardedPubSub = query.Has("sharded")
			if n := query.Get("streams"); n != "" {
				if o.StreamCount, err = strconv.Atoi(n); err != nil {
					err = fmt.Errorf("the number of streams is %q", n)
				}
			}
		}, "sharded", "streams")
		return o, err
	}
	return driverKind{scheme: scheme, broker: "redis", example: example,
		validate: func(cfg *Config) error {
			o, err := options(cfg)
			if err != nil {
				return err
			}
			return o.Validate()
		},
		open: func(cfg *Config) (driver, error) {
			o, err := options(cfg)
			if err != nil {
				return nil, err
			}
			return redisstreams.New(o)
		},
	}
}

// ours takes the members of a URL's query that are for us, and not for the client. What is no URL stays as it is: the client
// says what is wrong with it.
func ours(address string, take func(query url.Values), names ...string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	query := u.Query()
	take(query)
	for _, name := range names {
		query.Del(name)
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// sentinelURL makes of redis://host/master the URL that the client knows, redis://host?master_set=master. What is no URL
// stays as it is: the client says what is wrong with it.
func sentinelURL(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	query := u.Query()
	if master := strings.Trim(u.Path, "/"); master != "" {
		query.Set("master_set", master)
	}
	u.Path, u.RawQuery = "", query.Encode()
	return u.String()
}

// driverKind returns how the node is to join its cluster. The error does not repeat the URL, which may hold a password.
func (c *Config) driverKind() (*driverKind, error) {
	scheme, _, ok := strings.Cut(c.Cluster, ":")
	at := slices.IndexFunc(driverKinds, func(k driverKind) bool { return ok && k.scheme == scheme })
	if at < 0 {
		var schemes []string
		for _, k := range driverKinds {
			schemes = append(schemes, k.scheme)
		}
		return nil, fmt.Errorf("the URL has none of the schemes %s; write for instance %s", strings.Join(schemes, ", "), driverKinds[0].example)
	}
	return &driverKinds[at], nil
}

// validateCluster returns what is wrong with Cluster.
func (c *Config) validateCluster() error {
	kind, err := c.driverKind()
	if err != nil {
		return err
	}
	if err := kind.validate(c); err != nil {
		return fmt.Errorf("%w; write for instance %s", err, kind.example)
	}
	return nil
}
