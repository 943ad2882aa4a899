/* wrap(object, held): wraps memory of its own into object, and a strong reference to held.
 * Node-API's declarations as far as needed, so that no headers are. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct env *napi_env;
typedef struct value *napi_value;
typedef struct ref *napi_ref;
typedef struct info *napi_info;
typedef int napi_status;
typedef void (*napi_finalize)(napi_env, void *, void *);
typedef napi_value (*napi_callback)(napi_env, napi_info);

napi_status napi_get_cb_info(napi_env, napi_info, size_t *, napi_value *, napi_value *, void **);
napi_status napi_wrap(napi_env, napi_value, void *, napi_finalize, void *, napi_ref *);
napi_status napi_create_reference(napi_env, napi_value, uint32_t, napi_ref *);
napi_status napi_create_function(napi_env, const char *, size_t, napi_callback, void *, napi_value *);
napi_status napi_set_named_property(napi_env, napi_value, const char *, napi_value);
napi_status napi_adjust_external_memory(napi_env, int64_t, int64_t *);

static void release(napi_env env, void *data, void *hint) { (void)env; (void)hint; free(data); }

static napi_value wrap(napi_env env, napi_info info) {
    napi_value arguments[2];
    size_t count = 2;
    int64_t total;
    napi_ref held;
    napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
    napi_wrap(env, arguments[0], malloc(100), release, NULL, NULL);
    napi_create_reference(env, arguments[1], 1, &held);
    napi_adjust_external_memory(env, 100, &total);
    return arguments[0];
}

napi_value napi_register_module_v1(napi_env env, napi_value exports) {
    napi_value function;
    napi_create_function(env, "wrap", (size_t)-1, wrap, NULL, &function);
    napi_set_named_property(env, exports, "wrap", function);
    return exports;
}
