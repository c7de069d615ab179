package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// benchClient does one kind of call with client-go, rate limit off, and prints
// what it cost: the peer of `kubernaut bench kube`.
func benchClient(args []string) error {
	flags := flag.NewFlagSet("bench-client", flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "how to reach the cluster")
	namespace := flags.String("namespace", "bench", "where the objects are")
	op := flags.String("op", "get", "get, patch, list, watch, cache (an informer of the pods) or watches (count of them)")
	count := flags.Int("count", 1000, "calls, or events of a watch")
	parallel := flags.Int("parallel", 1, "callers at a time")
	protobuf := flags.Bool("protobuf", false, "in place of JSON")
	_ = flags.Parse(args)
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return err
	}
	config.QPS = -1
	config.ContentType = "application/json"
	if *protobuf {
		config.ContentType, config.AcceptContentTypes = "application/vnd.kubernetes.protobuf", "application/vnd.kubernetes.protobuf,application/json"
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	ctx := context.Background()
	maps := client.CoreV1().ConfigMaps(*namespace)
	if _, err := maps.Get(ctx, "bench", meta.GetOptions{}); err != nil { // the connection stands
		return err
	}
	before := memory("VmRSS")
	var objects atomic.Int64
	call := func(i int) error {
		switch *op {
		case "get":
			_, err := maps.Get(ctx, "bench", meta.GetOptions{})
			return err
		case "patch":
			_, err := maps.Patch(ctx, "bench", types.MergePatchType, []byte(fmt.Sprintf(`{"data":{"n":"go-%d-%d"}}`, os.Getpid(), i)), meta.PatchOptions{})
			return err
		case "list":
			list, err := client.CoreV1().Pods(*namespace).List(ctx, meta.ListOptions{})
			if err == nil {
				objects.Add(int64(len(list.Items)))
			}
			return err
		}
		return errors.New("unknown operation")
	}
	var writers sync.WaitGroup
	if *op == "watch" {
		watch, err := maps.Watch(ctx, meta.ListOptions{FieldSelector: "metadata.name=bench-watched", ResourceVersion: ""})
		if err != nil {
			return err
		}
		defer watch.Stop()
		fmt.Println(`{"watching":true}`)
		cpu, begun := cpuTime(), time.Now()
		seen := 0
		for event := range watch.ResultChan() {
			if _, good := event.Object.(*core.ConfigMap); good {
				if seen++; seen == 1 { // what was there already
					cpu, begun = cpuTime(), time.Now()
				}
			}
			if seen > *count {
				break
			}
		}
		return report(*op, *count, int64(seen), begun, cpu, before)
	}
	switch *op {
	case "cache":
		return benchCache(client, *namespace)
	case "watches":
		return benchWatches(client, *count)
	}
	var next atomic.Int64
	failures := make(chan error, *parallel)
	cpu, begun := cpuTime(), time.Now()
	for range *parallel {
		writers.Add(1)
		go func() {
			defer writers.Done()
			for i := next.Add(1); i <= int64(*count); i = next.Add(1) {
				if err := call(int(i)); err != nil {
					failures <- err
					return
				}
			}
		}()
	}
	writers.Wait()
	select {
	case err := <-failures:
		return err
	default:
	}
	return report(*op, *count, objects.Load(), begun, cpu, before)
}

// benchCache fills an informer's cache with the pods.
func benchCache(client kubernetes.Interface, namespace string) error {
	before := memory("VmRSS")
	cpu, begun := cpuTime(), time.Now()
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(namespace))
	informer := factory.Core().V1().Pods().Informer()
	stop := make(chan struct{})
	defer close(stop)
	factory.Start(stop)
	if !cache.WaitForCacheSync(stop, informer.HasSynced) {
		return errors.New("the cache did not fill")
	}
	return report("cache", 1, int64(len(informer.GetStore().List())), begun, cpu, before)
}

// benchWatches opens that many quiet watches on one client.
func benchWatches(client kubernetes.Interface, count int) error {
	ctx := context.Background()
	open := func() error {
		watch, err := client.CoreV1().ConfigMaps("kube-public").Watch(ctx, meta.ListOptions{})
		if err != nil {
			return err
		}
		go func() {
			for range watch.ResultChan() {
			}
		}()
		return nil
	}
	if err := open(); err != nil { // the first pays for the connection
		return err
	}
	before := memory("VmRSS")
	cpu, begun := cpuTime(), time.Now()
	var next atomic.Int64
	failures := make(chan error, 32)
	for range cap(failures) {
		go func() {
			var err error
			for err == nil && next.Add(1) <= int64(count) {
				err = open()
			}
			failures <- err
		}()
	}
	for range cap(failures) {
		if err := <-failures; err != nil {
			return err
		}
	}
	return report("watches", count, int64(count), begun, cpu, before)
}

// memory is a line of /proc/self/status in kB.
func memory(name string) int64 {
	text, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(text), "\n") {
		if rest, found := strings.CutPrefix(line, name+":"); found {
			kb, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(rest, "kB")), 10, 64)
			return kb
		}
	}
	return 0
}

func report(op string, count int, objects int64, begun time.Time, cpu time.Duration, before int64) error {
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"op": op, "count": count, "objects": objects, "wall_us": time.Since(begun).Microseconds(), "cpu_us": (cpuTime() - cpu).Microseconds(),
		"rss_before_kb": before, "rss_kb": memory("VmRSS"), "peak_kb": memory("VmHWM"), "go": runtime.Version(),
	})
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
