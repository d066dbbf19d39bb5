export interface Block {
  readonly line: number;
  readonly kind: 'paragraph' | 'heading' | 'cell' | 'comment' | 'message' | 'title';
  readonly text: string;
}

export function proseOf(file: string, source: string): Block[];
