package aggregate

import (
	"context"
	"strings"
	"sync"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/sdk"
	"golang.org/x/mod/semver"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// fanOut calls every plugin at once and waits for all of them. Answers come in
// the plugins' order; if any failed, all the errors come together.
func fanOut[T any](ctx context.Context, plugins []*plugin, call func(context.Context, *plugin) (T, error)) ([]T, error) {
	answers := make([]T, len(plugins))
	errs := make([]error, len(plugins))
	var wg sync.WaitGroup
	for i, p := range plugins {
		wg.Go(func() { answers[i], errs[i] = call(ctx, p) })
	}
	wg.Wait()
	var failed []error
	for _, err := range errs {
		if err != nil {
			failed = append(failed, err)
		}
	}
	return answers, join(failed)
}

// into puts what was put together into the caller's reply.
func into(reply, answer proto.Message) error {
	if reply.ProtoReflect().Descriptor() != answer.ProtoReflect().Descriptor() {
		return status.Errorf(codes.Internal, "the reply is a %T, not a %T", reply, answer)
	}
	proto.Reset(reply)
	proto.Merge(reply, answer)
	return nil
}

// The syncer sends active_sync_id only to connectors of at least this version
// of the SDK. Older ones do not mind: for them it is an unknown field.
const activeSyncIDVersion = "v0.4.3"

// validate has every plugin check its credentials and reports all that fail.
func (a *Aggregate) validate(ctx context.Context, request *v2.ConnectorServiceValidateRequest, reply proto.Message, opts []grpc.CallOption) error {
	answers, err := fanOut(ctx, a.plugins, func(ctx context.Context, p *plugin) (*v2.ConnectorServiceValidateResponse, error) {
		if p.assumesTypes() { // It validates before its first listing.
			return v2.ConnectorServiceValidateResponse_builder{SdkVersion: p.SDKVersion}.Build(), nil
		}
		answer := &v2.ConnectorServiceValidateResponse{}
		return answer, p.call(ctx, v2.ConnectorService_Validate_FullMethodName, request, answer, opts)
	})
	if err != nil {
		return err
	}
	merged := &v2.ConnectorServiceValidateResponse{}
	var annos []*anypb.Any
	versions := make([]string, 0, len(answers))
	for _, answer := range answers {
		versions = append(versions, answer.GetSdkVersion())
		annos = append(annos, answer.GetAnnotations()...)
	}
	merged.SetSdkVersion(lowestVersion(versions))
	merged.SetAnnotations(annos)
	return into(reply, merged)
}

// lowestVersion is the oldest of the SDK versions that can be read. Plugins
// that are not built with the SDK have none.
func lowestVersion(versions []string) string {
	lowest, original := "", ""
	for _, text := range versions {
		version := "v" + strings.TrimPrefix(text, "v")
		if semver.IsValid(version) && (lowest == "" || semver.Compare(version, lowest) < 0) {
			lowest, original = version, text
		}
	}
	switch {
	case lowest == "":
		return sdk.Version
	case semver.Compare(lowest, activeSyncIDVersion) < 0:
		return activeSyncIDVersion
	default:
		return original
	}
}

// cleanup reports to every plugin that a sync has ended, whichever fails.
func (a *Aggregate) cleanup(ctx context.Context, request *v2.ConnectorServiceCleanupRequest, reply proto.Message, opts []grpc.CallOption) error {
	answers, err := fanOut(ctx, a.plugins, func(ctx context.Context, p *plugin) (*v2.ConnectorServiceCleanupResponse, error) {
		answer := &v2.ConnectorServiceCleanupResponse{}
		if p.Err != nil {
			return answer, nil // It was never asked for anything.
		}
		limited, cancel := context.WithTimeout(ctx, a.retries.CallTimeout)
		defer cancel()
		return answer, p.call(limited, v2.ConnectorService_Cleanup_FullMethodName, request, answer, opts)
	})
	if failed := a.endSessions(ctx); failed != nil {
		return failed
	}
	if err != nil {
		return err
	}
	merged := &v2.ConnectorServiceCleanupResponse{}
	var annos []*anypb.Any
	for _, answer := range answers {
		annos = append(annos, answer.GetAnnotations()...)
	}
	merged.SetAnnotations(annos)
	return into(reply, merged)
}
