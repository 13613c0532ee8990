package service

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	v1 "github.com/conductorone/baton-sdk/pb/c1/connectorapi/baton/v1"
	"github.com/shirou/gopsutil/v4/host"
	"google.golang.org/protobuf/proto"
)

// hello reports to C1 who is here and what it can do. taskID is the task that asked
// for it, or empty.
func (s *Service) hello(ctx context.Context, taskID string) error {
	metadata, err := s.describe(ctx)
	if err != nil {
		return err
	}
	return s.announce(ctx, taskID, metadata)
}

// helloAgain says hello if what there is to say has changed: a plugin that could
// not be asked before can be now, or is of another version.
func (s *Service) helloAgain(ctx context.Context) error {
	metadata, err := s.describe(ctx)
	if err != nil {
		return err
	}
	if last := s.announced.Load(); last != nil && proto.Equal(last, metadata) {
		return nil
	}
	return s.announce(ctx, "", metadata)
}

func (s *Service) describe(ctx context.Context) (*connectorv2.ConnectorMetadata, error) {
	connector, err := s.connector(ctx)
	if err != nil {
		return nil, err
	}
	response, err := connectorv2.NewConnectorServiceClient(connector).GetMetadata(ctx, &connectorv2.ConnectorServiceGetMetadataRequest{})
	if err != nil {
		return nil, fmt.Errorf("say hello to C1: %w", err)
	}
	return response.GetMetadata(), nil
}

func (s *Service) announce(ctx context.Context, taskID string, metadata *connectorv2.ConnectorMetadata) error {
	_, err := call(ctx, s.client, v1.BatonServiceHelloRequest_builder{
		HostId:            s.hostID,
		TaskId:            taskID,
		BuildInfo:         buildInfo(s.options.Version),
		OsInfo:            osInfo(ctx),
		ConnectorMetadata: metadata,
	}.Build(), v1.BatonServiceClient.Hello)
	if err == nil {
		s.announced.Store(metadata)
	}
	return err
}

func buildInfo(version string) *v1.BatonServiceHelloRequest_BuildInfo {
	info := v1.BatonServiceHelloRequest_BuildInfo_builder{LangVersion: runtime.Version(), Package: "baton-host", PackageVersion: version}.Build()
	if build, ok := debug.ReadBuildInfo(); ok && build.Main.Path != "" {
		info.SetPackage(build.Main.Path)
	}
	return info
}

// osInfo is what the SDK reports too. C1 wants every field filled.
func osInfo(ctx context.Context) *v1.BatonServiceHelloRequest_OSInfo {
	info, err := host.InfoWithContext(ctx)
	if err != nil {
		info = &host.InfoStat{}
	}
	or := func(text, otherwise string) string {
		if text == "" {
			return otherwise
		}
		return text
	}
	return v1.BatonServiceHelloRequest_OSInfo_builder{
		Hostname:             or(info.Hostname, "unknown"),
		Os:                   or(info.OS, runtime.GOOS),
		Platform:             or(info.Platform, "unknown"),
		PlatformVersion:      or(info.PlatformVersion, or(info.KernelVersion, "unknown")),
		PlatformFamily:       or(info.PlatformFamily, or(info.Platform, "unknown")),
		KernelVersion:        or(info.KernelVersion, "unknown"),
		KernelArch:           or(info.KernelArch, runtime.GOARCH),
		VirtualizationSystem: or(info.VirtualizationSystem, "none"),
	}.Build()
}
