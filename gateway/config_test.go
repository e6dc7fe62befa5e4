package gateway_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/peal-dev/peal/gateway"
)

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, good := range []gateway.Config{
		{Dev: true},
		{APIKey: "k"},
		{AnonymousSubscribe: true},
		{AnonymousPublish: true},
		{Dev: true, Listen: ":0", InternalListen: "127.0.0.1:0", AllowHosts: []string{"*", "Peal.example", "::1"}},
		{Dev: true, Listen: "[::1]:80", Namespaces: []string{"/", "/chat"}, AllowOrigins: []string{"*", "https://a.example:8443"},
			Cluster: "rediss://user:pw@host:6379/1", Advertise: "[fd00::7]:8080"},
		{Dev: true, Cluster: "redis+sentinel://10.0.0.7:26379/mymaster?addr=10.0.0.8:26379"},
		{Dev: true, Cluster: "redis+unix:///run/redis.sock"},
		{Dev: true, Cluster: "redis+sharded://host?mode=static"},
		{Dev: true, Cluster: "redis://host?specific"},
		{Dev: true, Cluster: "redis+streams://host?addr=other:7000&sharded&streams=4"},
		{Dev: true, Cluster: "rediss+streams://host?master_set=main", ClusterKey: "key"},
		{Dev: true, Cluster: "redis+cluster://user:pw@host?addr=other:7000&spread&mode=dynamic-private"},
	} {
		if err := good.Validate(); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
	for _, test := range []struct {
		config  gateway.Config
		setting string
		advice  string
	}{
		{gateway.Config{}, "api-key", "--dev"},
		{gateway.Config{APIKey: "a b"}, "api-key", "choose another"},
		{gateway.Config{APIKey: "kéy"}, "api-key", "choose another"},
		{gateway.Config{Dev: true, Listen: "8080"}, "listen", "write for instance"},
		{gateway.Config{Dev: true, Listen: ":http"}, "listen", "0 to 65535"},
		{gateway.Config{Dev: true, Listen: ":65536"}, "listen", "0 to 65535"},
		{gateway.Config{Dev: true, Namespaces: []string{"chat"}}, "namespace", `write "/chat"`},
		{gateway.Config{Dev: true, Namespaces: []string{"/a,b"}}, "namespace", "cannot carry"},
		{gateway.Config{Dev: true, Namespaces: []string{"/" + strings.Repeat("x", 255)}}, "namespace", "longer than 255"},
		{gateway.Config{Dev: true, Namespaces: []string{"/a", "/a"}}, "namespace", "remove one"},
		{gateway.Config{Dev: true, AllowOrigins: []string{"app.example"}}, "allow-origin", "https://app.example.org"},
		{gateway.Config{Dev: true, AllowOrigins: []string{"https://a.example/"}}, "allow-origin", "write https://a.example"},
		{gateway.Config{Dev: true, AllowOrigins: []string{"*"}, AllowCredentials: true}, "allow-origin", "name the origins"},
		{gateway.Config{Dev: true, InternalListen: "9090"}, "internal-listen", "write for instance"},
		{gateway.Config{Dev: true, AllowHosts: []string{"http://peal.example"}}, "allow-host", "without scheme and port"},
		{gateway.Config{Dev: true, AllowHosts: []string{"peal.example:80"}}, "allow-host", "without scheme and port"},
		{gateway.Config{Dev: true, AllowHosts: []string{""}}, "allow-host", "without scheme and port"},
		{gateway.Config{Dev: true, Cluster: "localhost"}, "cluster", "redis://"},
		{gateway.Config{Dev: true, Cluster: "redis://:se cret@%%"}, "cluster", "redis://"},
		{gateway.Config{Dev: true, Cluster: "redis+sentinel://host"}, "cluster", "mymaster"},
		{gateway.Config{Dev: true, Cluster: "postgres://user:secret@host:port/db"}, "cluster", "postgres://user:password@db.internal"},
		{gateway.Config{Dev: true, Cluster: "postgres://host/db", ClusterKey: strings.Repeat("k", 41)}, "cluster", "40 bytes"},
		{gateway.Config{Dev: true, Cluster: "redis+unix://"}, "cluster", "/run/redis"},
		{gateway.Config{Dev: true, Cluster: "redis+sharded://host?mode=often"}, "cluster", "dynamic-private"},
		{gateway.Config{Dev: true, Cluster: "redis+streams://host?streams=many"}, "cluster", "the number of streams is"},
		{gateway.Config{Dev: true, Cluster: "redis+streams://"}, "cluster", "redis+streams://127"},
		{gateway.Config{Dev: true, Advertise: "10.0.0.7:80"}, "advertise", "--cluster"},
		{gateway.Config{Dev: true, Cluster: "mongodb://user:secret@host/?maxPoolSize=few"}, "cluster", "mongodb://"},
		{gateway.Config{Dev: true, Cluster: "redis://host", Advertise: "10.0.0.7"}, "advertise", "HOST:PORT"},
		{gateway.Config{Dev: true, Cluster: "redis://host", Advertise: ":8080"}, "advertise", "HOST:PORT"},
		{gateway.Config{Dev: true, Cluster: "redis://host", Advertise: "0.0.0.0:8080"}, "advertise", "10.0.0.7:8080"},
		{gateway.Config{Dev: true, MaxBody: -1}, "max-body", "positive"},
		{gateway.Config{Dev: true, ShutdownTimeout: -time.Second}, "shutdown-timeout", "positive"},
	} {
		err := test.config.Validate()
		var setting *gateway.SettingError
		if !errors.As(err, &setting) || setting.Setting != test.setting || !strings.Contains(setting.Problem, test.advice) {
			t.Errorf("%+v: got %v, want --%s … %s", test.config, err, test.setting, test.advice)
		}
		if err != nil && strings.Contains(err.Error(), "cret") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
}

func TestValidateNamesEveryProblem(t *testing.T) {
	t.Parallel()
	err := (&gateway.Config{Listen: "x", Namespaces: []string{"a", "b"}, MaxRooms: -1}).Validate()
	if got := len(strings.Split(err.Error(), "\n")); got != 5 {
		t.Errorf("%d problems, want 5:\n%v", got, err)
	}
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, test := range []struct {
		config gateway.Config
		want   string
	}{
		{gateway.Config{}, "--api-key"},
		{gateway.Config{Dev: true, Listen: taken.Addr().String()}, "the port is in use; stop the program that has it, or choose another"},
		{gateway.Config{Dev: true, Listen: "192.0.2.1:0"}, "does not have that address"},
		{gateway.Config{Dev: true, Listen: "127.0.0.1:0", Cluster: "http://127.0.0.1"}, "--cluster"},
	} {
		s, err := gateway.Start(t.Context(), test.config)
		if err == nil {
			_ = s.Shutdown(context.WithoutCancel(t.Context()))
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: got %v, want … %s …", test.config, err, test.want)
		}
	}
}
