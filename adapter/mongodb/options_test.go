package mongodb_test

import (
	"strings"
	"testing"

	"github.com/peal-dev/peal/adapter/mongodb"
)

func TestBadOptions(t *testing.T) {
	t.Parallel()
	for _, opts := range []mongodb.Options{
		{},
		{URL: "redis://localhost"},
		{URL: "mongodb://user:secret@localhost/%zz"},
		{URL: "mongodb://user:secret@localhost/?maxPoolSize=few"},
		{URL: "mongodb://user:secret@localhost/?a=%zz"},
		{URL: "mongodb://localhost", TTL: -1},
		{URL: "mongodb://localhost", Size: -1},
	} {
		if err := opts.Validate(); err == nil || !strings.HasPrefix(err.Error(), "mongodb: ") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%+v: %v", opts, err)
		}
		if _, err := mongodb.New(opts); err == nil {
			t.Errorf("%+v makes a driver", opts)
		}
	}
	for _, url := range []string{
		"mongodb://localhost", "mongodb://user:p%40ss@a:1,b:2/db?replicaSet=rs&authSource=admin&collection=c", "mongodb://localhost?directConnection=true&collection=c",
	} {
		opts := mongodb.Options{URL: url}
		if err := opts.Validate(); err != nil || opts.Database != "" || opts.Timeout != 0 {
			t.Errorf("%s: %v, %+v", url, err, opts)
		}
	}
}
