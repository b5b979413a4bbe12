# A Kafka cluster for tests: the mock that is part of librdkafka, over real TCP (github.com/confluentinc/librdkafka,
# src/rdkafka_mock.h). Prints "ready host:port,...", then answers each line of standard input with "ok" or "err N".
#
#   mockkafka.py BROKERS
#
#   topic NAME PARTITIONS   creates a topic; unknown ones are created when somebody asks for them
#   topicerr NAME CODE      what asking for the topic (not producing to it) answers from now on; 0 is no error
#   err APIKEY CODE...      the next requests of that kind get these errors, one each; 0 = Produce, 3 = Metadata
#   down ID / up ID         a broker closes its port, opens it again; ids begin with 1
#   rtt ID MS               how long a broker waits before each answer
import ctypes
import sys

lib = ctypes.CDLL('librdkafka.so.1')
pointer, text, integer = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
lib.rd_kafka_conf_new.restype = pointer
lib.rd_kafka_conf_set.argtypes = [pointer, text, text, text, ctypes.c_size_t]
lib.rd_kafka_new.restype = pointer
lib.rd_kafka_new.argtypes = [integer, pointer, text, ctypes.c_size_t]
lib.rd_kafka_mock_cluster_new.restype = pointer
lib.rd_kafka_mock_cluster_new.argtypes = [pointer, integer]
lib.rd_kafka_mock_cluster_bootstraps.restype = text
lib.rd_kafka_mock_cluster_bootstraps.argtypes = [pointer]
lib.rd_kafka_mock_topic_create.argtypes = [pointer, text, integer, integer]
lib.rd_kafka_mock_topic_set_error.argtypes = [pointer, text, integer]
lib.rd_kafka_mock_push_request_errors_array.argtypes = [
    pointer, ctypes.c_int16, ctypes.c_size_t, ctypes.POINTER(integer)]
lib.rd_kafka_mock_broker_set_down.argtypes = [pointer, ctypes.c_int32]
lib.rd_kafka_mock_broker_set_up.argtypes = [pointer, ctypes.c_int32]
lib.rd_kafka_mock_broker_set_rtt.argtypes = [pointer, ctypes.c_int32, integer]

error = ctypes.create_string_buffer(512)
conf = lib.rd_kafka_conf_new()
lib.rd_kafka_conf_set(conf, b'log_level', b'3', error, 512)  # the client beside the mock misses its bootstrap.servers
client = lib.rd_kafka_new(0, conf, error, 512)
cluster = lib.rd_kafka_mock_cluster_new(client, int(sys.argv[1]) if len(sys.argv) > 1 else 1)


def push_errors(api_key, *codes):
    codes = [int(code) for code in codes]
    array = (integer * len(codes))(*codes)
    lib.rd_kafka_mock_push_request_errors_array(cluster, int(api_key), len(codes), array)


def set_topic_error(name, code):
    lib.rd_kafka_mock_topic_set_error(cluster, name.encode(), int(code))


commands = {
    'topic': lambda name, partitions: lib.rd_kafka_mock_topic_create(cluster, name.encode(), int(partitions), 1),
    'topicerr': set_topic_error,
    'err': push_errors,
    'down': lambda broker: lib.rd_kafka_mock_broker_set_down(cluster, int(broker)),
    'up': lambda broker: lib.rd_kafka_mock_broker_set_up(cluster, int(broker)),
    'rtt': lambda broker, ms: lib.rd_kafka_mock_broker_set_rtt(cluster, int(broker), int(ms)),
}

print('ready', lib.rd_kafka_mock_cluster_bootstraps(cluster).decode(), flush=True)
for line in sys.stdin:
    name, *arguments = line.split()
    result = commands[name](*arguments) or 0
    print('ok' if result == 0 else 'err %d' % result, flush=True)
