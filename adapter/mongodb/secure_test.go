package mongodb_test

import (
	"context"
	"crypto/tls"
	"errors"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/mongodb"
	"github.com/peal-dev/peal/internal/testcerts"
	"github.com/peal-dev/peal/internal/testmongo"
	"github.com/peal-dev/peal/message"
)

// TestTLSAndUser has a server that speaks TLS only, to whom it knows by a certificate, and that asks for a user (SCRAM): nodes
// that have both are a cluster, and the others are told.
func TestTLSAndUser(t *testing.T) {
	t.Parallel()
	authority := testcerts.New(t)
	cert, key, ca := authority.Write(t.TempDir(), authority.Issue())
	server := testmongo.Start(t, testmongo.Durable, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-file", ca, "--tls-require-client-cert")
	config := &tls.Config{RootCAs: authority.Pool(), Certificates: []tls.Certificate{authority.Issue()}}
	createUser(t, server, config, "node", "p@ss/word")
	server.RestartWith("--auth")

	url := "mongodb://someone:else@" + server.Addr() + "/?directConnection=true&tls=true"
	node := func(t *testing.T, name string) (*adapter.Adapter, func(event string)) {
		a, m := newAdapter(t, newDriver(t, mongodb.Options{URL: url, Username: "node", Password: "p@ss/word", TLS: config}), name)
		return a, func(event string) { t.Helper(); m.Until(t, event) }
	}
	a1, _ := node(t, "m1")
	_, hears := node(t, "m2")
	if err := a1.Broadcast(t.Context(), newMessage("secret"), message.Target{}); err != nil {
		t.Error(err)
	}
	hears("secret")
	if err := a1.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	emitter, err := mongodb.NewEmitter(mongodb.Options{URL: url, Username: "node", Password: "p@ss/word", TLS: config})
	if err != nil {
		t.Fatal(err)
	}
	defer emitter.Close(context.Background())
	outside, err := adapter.New(t.Context(), "/", emitter, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := outside.Broadcast(t.Context(), newMessage("from outside"), message.Target{}); err != nil {
		t.Error(err)
	}
	hears("from outside")

	for name, opts := range map[string]mongodb.Options{
		"unknown authority": {URL: url, Username: "node", Password: "p@ss/word"},
		"no certificate":    {URL: url, Username: "node", Password: "p@ss/word", TLS: &tls.Config{RootCAs: authority.Pool()}},
		"wrong password":    {URL: url, Username: "node", Password: "x", TLS: config},
		"nobody":            {URL: "mongodb://" + server.Addr() + "/?directConnection=true&tls=true", TLS: config},
	} {
		opts.Timeout = 2 * time.Second
		if _, err := adapter.New(t.Context(), "/", newDriver(t, opts), nil); !errors.Is(err, adapter.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
}

// createUser makes a user who may use the driver's database, while the server asks for none.
func createUser(t *testing.T, server *testmongo.Server, config *tls.Config, name, password string) {
	t.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI(server.URL() + "&tls=true").SetTLSConfig(config))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := client.Disconnect(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	err = client.Database("admin").RunCommand(t.Context(), bson.D{
		{Key: "createUser", Value: name}, {Key: "pwd", Value: password},
		{Key: "roles", Value: bson.A{bson.D{{Key: "role", Value: "readWrite"}, {Key: "db", Value: mongodb.DefaultDatabase}}}},
	}).Err()
	if err != nil {
		t.Fatal(err)
	}
}
