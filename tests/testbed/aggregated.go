package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// An aggregated API is a server of its own behind the API server. This one has
// one kind, Thing, and can be killed: discovery of everything else must not
// suffer. The API server finds it by a service of type ExternalName, for which
// no addresses of pods are needed.
const (
	aggregatedGroup   = "things.testbed.example"
	aggregatedVersion = "v1"
	aggregatedService = "aggregated"
)

// startAggregated starts the server as a process that commands can name.
func (bed *testbed) startAggregated(c *cluster) error {
	port, err := reservePort()
	if err != nil {
		return err
	}
	c.aggregatedPort = port
	return bed.add(c.Name, ownBinary, "aggregated", strconv.Itoa(port), c.cert("kubelet-server"), c.key("kubelet-server")).start(bed.exits)
}

// registerAggregated tells the API server of it and waits until it is served.
func (c *cluster) registerAggregated(client kubernetes.Interface) error {
	ctx := context.Background()
	service := &core.Service{
		ObjectMeta: meta.ObjectMeta{Name: aggregatedService},
		Spec:       core.ServiceSpec{Type: core.ServiceTypeExternalName, ExternalName: "localhost"},
	}
	if _, err := client.CoreV1().Services("kube-system").Create(ctx, service, meta.CreateOptions{}); err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{
		"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
		"metadata": map[string]any{"name": aggregatedVersion + "." + aggregatedGroup},
		"spec": map[string]any{
			"group": aggregatedGroup, "version": aggregatedVersion, "groupPriorityMinimum": 100, "versionPriority": 100,
			"insecureSkipTLSVerify": true,
			"service":               map[string]any{"name": aggregatedService, "namespace": "kube-system", "port": c.aggregatedPort},
		},
	})
	if err != nil {
		return err
	}
	services := client.Discovery().RESTClient()
	if err := services.Post().AbsPath("/apis/apiregistration.k8s.io/v1/apiservices").Body(body).SetHeader("Content-Type", "application/json").Do(ctx).Error(); err != nil {
		return err
	}
	return poll(func(ctx context.Context) bool {
		return services.Get().AbsPath("/apis/"+aggregatedGroup+"/"+aggregatedVersion+"/things").Do(ctx).Error() == nil
	})
}

// serveAggregated is that server: kubernaut-testbed aggregated PORT CERT KEY.
func serveAggregated(args []string) error {
	if len(args) != 3 {
		return errors.New("usage: kubernaut-testbed aggregated PORT CERT KEY")
	}
	pair, err := tls.LoadX509KeyPair(args[1], args[2])
	if err != nil {
		return err
	}
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error { // the port is reserved by `up`
		var failure error
		if err := raw.Control(func(fd uintptr) { failure = setReusePort(int(fd)) }); err != nil {
			return err
		}
		return failure
	}}
	listener, err := config.Listen(context.Background(), "tcp4", "127.0.0.1:"+args[0])
	if err != nil {
		return err
	}
	api := "/apis/" + aggregatedGroup + "/" + aggregatedVersion
	answer := func(w http.ResponseWriter, value map[string]any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(value)
	}
	mux := http.NewServeMux()
	mux.HandleFunc(api, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": aggregatedGroup + "/" + aggregatedVersion,
			"resources": []any{map[string]any{"name": "things", "singularName": "thing", "namespaced": false, "kind": "Thing", "verbs": []string{"get", "list"}}}})
	})
	mux.HandleFunc(api+"/things", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"kind": "ThingList", "apiVersion": aggregatedGroup + "/" + aggregatedVersion, "metadata": map[string]any{"resourceVersion": "1"},
			"items": []any{map[string]any{"metadata": map[string]any{"name": "one", "resourceVersion": "1"}}}})
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	fmt.Fprintln(os.Stderr, "serving", api, "on", listener.Addr())
	return server.Serve(tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{pair}}))
}
