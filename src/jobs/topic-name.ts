const TOPIC = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}$/

/** Kafka's own rule for the names of topics (org.apache.kafka.common.internals.Topic). */
export const isTopicName = (text: string): boolean => TOPIC.test(text)
