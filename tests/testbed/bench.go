package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// benchClient does one kind of call with client-go, rate limit off, and prints
// what it cost: the peer of `kubernaut bench kube`.
func benchClient(args []string) error {
	flags := flag.NewFlagSet("bench-client", flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "how to reach the cluster")
	namespace := flags.String("namespace", "bench", "where the objects are")
	op := flags.String("op", "get", "get, patch, list or watch")
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
		return report(*op, *count, int64(seen), begun, cpu)
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
	return report(*op, *count, objects.Load(), begun, cpu)
}

func report(op string, count int, objects int64, begun time.Time, cpu time.Duration) error {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"op": op, "count": count, "objects": objects, "wall_us": time.Since(begun).Microseconds(), "cpu_us": (cpuTime() - cpu).Microseconds(),
		"peak_kb": usage.Maxrss, "go": runtime.Version(),
	})
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
