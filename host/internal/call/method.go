package call

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	// The services of a connector.
	_ "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/batonhost/baton-host/host/internal/aggregate/policy"
	"github.com/batonhost/baton-host/host/internal/errtext"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// Method is one method of the services that a plugin serves.
type Method struct {
	// Service and Name are how people name it: "ResourcesService", "ListResources".
	Service, Name string
	// Path is what gRPC calls it: "/c1.connector.v2.ResourcesService/ListResources".
	Path string
	// Changes reports that a call changes something in the app.
	Changes bool
	// Streams reports that the answer is any number of messages.
	Streams bool
	// Fields are the names of the request's fields, in their order.
	Fields []string

	request, answer protoreflect.MessageType
}

func (m Method) String() string { return m.Service + "/" + m.Name }

// packages are the protobuf packages whose services a plugin serves.
var packages = []protoreflect.FullName{"c1.connector.v2", pluginv1.File_baton_plugin_v1_plugin_proto.Package()}

// unserved has no implementation in the SDK, and no plugin registers it.
const unserved = "c1.connector.v2.SchemaService"

// Methods returns all methods, by service and name.
var Methods = sync.OnceValue(func() []Method {
	var methods []Method
	for _, name := range packages {
		protoregistry.GlobalFiles.RangeFilesByPackage(name, func(file protoreflect.FileDescriptor) bool {
			for i := range file.Services().Len() {
				methods = append(methods, methodsOf(file.Services().Get(i))...)
			}
			return true
		})
	}
	slices.SortFunc(methods, func(a, b Method) int { return cmp.Compare(a.Path, b.Path) })
	return methods
})

func methodsOf(service protoreflect.ServiceDescriptor) []Method {
	var methods []Method
	for i := range service.Methods().Len() {
		method := service.Methods().Get(i)
		request, requestErr := protoregistry.GlobalTypes.FindMessageByName(method.Input().FullName())
		answer, answerErr := protoregistry.GlobalTypes.FindMessageByName(method.Output().FullName())
		if service.FullName() == unserved || method.IsStreamingClient() || requestErr != nil || answerErr != nil {
			continue
		}
		path := fmt.Sprintf("/%s/%s", service.FullName(), method.Name())
		methods = append(methods, Method{
			Service: string(service.Name()), Name: string(method.Name()), Path: path,
			Changes: service.ParentFile().Package() == packages[0] && policy.Changes(path),
			Streams: method.IsStreamingServer(),
			Fields:  fieldsOf(method.Input()),
			request: request, answer: answer,
		})
	}
	return methods
}

func fieldsOf(message protoreflect.MessageDescriptor) []string {
	var names []string
	for i := range message.Fields().Len() {
		names = append(names, string(message.Fields().Get(i).Name()))
	}
	return names
}

// Find returns the method of a name: Service/Method, the same with the package before
// it, or Method alone where only one service has it. The error names those that
// may be meant.
func Find(name string) (Method, error) {
	var found []Method
	for _, method := range Methods() {
		if name == method.Path || "/"+name == method.Path || name == method.String() || name == method.Name {
			found = append(found, method)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return Method{}, fmt.Errorf("more than one service has a method %q; say which one: %s", name, joined(found))
	}
	if near := resembling(name); len(near) > 0 {
		return Method{}, fmt.Errorf("a plugin has no method %q; did you mean %s?", name, joined(near))
	}
	return Method{}, fmt.Errorf("a plugin has no method %q; leave it out to see the methods there are", name)
}

// resembling returns the methods that a name may have been meant for.
func resembling(name string) []Method {
	service, own, ok := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	if !ok {
		service, own = "", service
	}
	var names []string
	for _, method := range Methods() {
		names = append(names, method.Name)
	}
	near := errtext.Nearest(own, names)
	var found, ofService []Method
	for _, method := range Methods() {
		switch {
		case method.Name == near, len(own) >= 4 && strings.Contains(strings.ToLower(method.Name), strings.ToLower(own)):
			found = append(found, method)
		case service != "" && strings.HasSuffix("."+service, "."+method.Service):
			ofService = append(ofService, method)
		}
	}
	if len(found) == 0 {
		return ofService
	}
	return found
}

func joined(methods []Method) string {
	names := make([]string, 0, len(methods))
	for _, method := range methods {
		names = append(names, method.String())
	}
	if last := len(names) - 1; last > 0 {
		return strings.Join(names[:last], ", ") + " or " + names[last]
	}
	return names[0]
}
